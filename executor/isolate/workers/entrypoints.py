"""Base classes of entrypoints, and the context that an invocation gives them."""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from executor.isolate.invocation import runtime
from executor.isolate.workers.values import JsDict, to_js_dicts

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Context:
    """``self.ctx``. It holds nothing of the runtime: what it does, it does to what runs now."""

    __slots__ = ("_props",)

    def __init__(self, props: dict[str, Any]) -> None:
        self._props: JsDict = to_js_dicts(props)

    @property
    def props(self) -> JsDict:
        """What the owner of the binding to this entrypoint has set."""
        return self._props

    def waitUntil(self, awaitable: Awaitable[Any]) -> None:
        """Let that go on after the response."""
        runtime.current().wait_until(awaitable)

    wait_until = waitUntil

    def passThroughOnException(self) -> None:
        """Should this invocation fail, let the platform answer as if there were no worker."""
        runtime.current().pass_through = True

    pass_through_on_exception = passThroughOnException


class WorkerEntrypoint:
    """Base of the classes that answer: ``Default`` and any other, by its name."""

    def __init__(self, ctx: Context, env: Any) -> None:
        self.ctx = ctx
        self.env = env


class DurableObject:
    """Base of the classes of Durable Objects."""

    def __init__(self, ctx: Any, env: Any) -> None:
        self.ctx = ctx
        self.env = env


class WorkflowEntrypoint:
    """Workflows may be defined, so that their module loads, but not used."""

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        _refuse("Workflows")


BASES = (WorkerEntrypoint, DurableObject, WorkflowEntrypoint)


def handler(function: Handler) -> Handler:
    """Mark an ``on_*`` function. It is given Python objects with the mark or without."""
    return function


def wait_until(awaitable: Awaitable[Any]) -> None:
    """Let that go on after the response of the current invocation."""
    runtime.current().wait_until(awaitable)


def import_from_javascript(module_name: str) -> NoReturn:
    """Raises ``ImportError``: there is no JavaScript here."""
    raise ImportError(
        f"{module_name!r} cannot be imported: this platform runs Python only; "
        "what it offers of the product's API is in the module workers"
    )


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(f"{what} are not available on this platform")
