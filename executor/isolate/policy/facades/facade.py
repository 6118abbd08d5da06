"""What an import of a library module gives a worker: its listed names, and nothing behind them."""

from typing import Any, NoReturn

from executor.isolate.policy.kinds import count_as_module


class Facade:
    """A read-only module. A name that is not listed is missing, with the reason if there is one."""

    def __getattr__(self, name: str) -> NoReturn:
        module = vars(self)["__name__"]
        reason = _left_out[module].get(name)
        why = f": {reason}" if reason else ""
        raise AttributeError(f'module "{module}" has no "{name}" for workers{why}')

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("the library's modules cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("the library's modules cannot be changed")

    def __dir__(self) -> list[str]:
        return sorted(name for name in vars(self) if not name.startswith("__"))

    def __repr__(self) -> str:
        return f"<module '{vars(self)['__name__']}'>"


_left_out: dict[str, dict[str, str]] = {}

count_as_module(Facade)


def make_facade(name: str, contents: dict[str, Any], left_out: dict[str, str]) -> Facade:
    """A facade with these contents.

    It has no ``__init__``: a worker could call that again.
    """
    facade = object.__new__(Facade)
    vars(facade).update(contents, __name__=name)
    _left_out[name] = left_out
    return facade
