"""Plain values with the product's manners."""

from typing import Any


class JsDict(dict[str, Any]):
    """A dict whose items can be read as attributes, too, where no dict method has that name."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no attribute {name!r}") from None


def to_js_dicts(value: Any) -> Any:
    """The same value, every dict in it a :class:`JsDict`."""
    if isinstance(value, dict):
        return JsDict((key, to_js_dicts(item)) for key, item in value.items())
    if isinstance(value, list):
        return [to_js_dicts(item) for item in value]
    return value


def merged_options(options: Any, named: dict[str, Any]) -> dict[str, Any]:
    """Options given as one dict, by keyword, or both; those that are None count as not given."""
    if options is None:
        options = {}
    if not isinstance(options, dict):
        raise TypeError(f"options must be a dict, not {type(options).__name__}")
    return {name: value for name, value in {**options, **named}.items() if value is not None}
