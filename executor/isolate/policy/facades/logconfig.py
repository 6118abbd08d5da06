"""``logging.config.dictConfig`` over the worker's own loggers.

The library's imports whatever a configuration names; here a class is one of ``logging`` or what
the worker passes itself.
"""

from typing import Any

from executor.isolate.policy.facades import loggers, logs

_HANDLERS = {
    "logging.StreamHandler": logs.StreamHandler,
    "logging.NullHandler": logs.NullHandler,
}
_STREAMS = {"ext://sys.stdout": None, "ext://sys.stderr": None}


def dict_config(config: dict[str, Any]) -> None:
    """``logging.config.dictConfig``.

    Raises:
        ValueError: the configuration names something that there is not.
    """
    if config.get("version") != 1:
        raise ValueError(f"Unsupported version: {config.get('version')}")
    formatters = _each(config, "formatters", _formatter)
    filters = _each(config, "filters", _filter)
    handlers = {
        name: _handler(name, dict(options), formatters, filters)
        for name, options in config.get("handlers", {}).items()
    }
    if not config.get("incremental") and config.get("disable_existing_loggers", True):
        for name, logger in loggers.existing().items():
            logger.disabled = name not in config.get("loggers", {})
    for name, options in config.get("loggers", {}).items():
        _set_up(loggers.get_logger(name), options, handlers, filters)
    if "root" in config:
        _set_up(loggers.root, config["root"], handlers, filters)


def _each(config: dict[str, Any], section: str, make: Any) -> dict[str, Any]:
    return {name: make(dict(options)) for name, options in config.get(section, {}).items()}


def _made(options: dict[str, Any]) -> Any:
    """What a factory under ``()`` makes.

    Raises:
        ValueError: it is a name, which would have to be imported.
    """
    factory = options.pop("()")
    if isinstance(factory, str):
        reason = f"pass the class itself, not its name {factory!r}"
        raise ValueError(reason)  # noqa: TRY004 - as the library does
    return factory(**options)


def _formatter(options: dict[str, Any]) -> Any:
    if "()" in options:
        return _made(options)
    kind = options.get("class", logs.Formatter)
    if isinstance(kind, str):
        if kind != "logging.Formatter":
            raise ValueError(f"pass the class itself, not its name {kind!r}")
        kind = logs.Formatter
    return kind(options.get("format"), options.get("datefmt"), options.get("style", "%"))


def _filter(options: dict[str, Any]) -> Any:
    return _made(options) if "()" in options else logs.Filter(options.get("name", ""))


def _handler(
    name: str, options: dict[str, Any], formatters: dict[str, Any], filters: dict[str, Any]
) -> Any:
    level, formatter = options.pop("level", None), options.pop("formatter", None)
    wanted = options.pop("filters", ())
    if options.get("stream") in _STREAMS:
        options.pop("stream")
    if "()" in options:
        handler = _made(options)
    else:
        kind = options.pop("class", None)
        handler_class = _HANDLERS.get(kind) if isinstance(kind, str) else kind
        if handler_class is None:
            raise ValueError(f"handler {name!r}: {kind!r} is not available to workers")
        handler = handler_class(**options)
    if level is not None:
        handler.setLevel(level)
    if formatter is not None:
        handler.setFormatter(formatters[formatter])
    for each in wanted:
        handler.addFilter(filters[each])
    return handler


def _set_up(
    logger: Any, options: dict[str, Any], handlers: dict[str, Any], filters: dict[str, Any]
) -> None:
    if (level := options.get("level")) is not None:
        logger.setLevel(level)
    logger.propagate = bool(options.get("propagate", logger.propagate))
    if "handlers" in options:
        logger.handlers.clear()
        for name in options["handlers"]:
            logger.addHandler(handlers[name])
    for name in options.get("filters", ()):
        logger.addFilter(filters[name])


LOGGING_CONFIG: dict[str, Any] = {"dictConfig": dict_config}
