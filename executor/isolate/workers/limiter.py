"""Rate limit bindings."""

from typing import Any

from executor.isolate.invocation import runtime
from executor.isolate.workers.values import JsDict, merged_options


class RateLimiter:
    """``env.NAME.limit({"key": ...})``."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    async def limit(self, options: Any = None, /, **named: Any) -> JsDict:
        """Count one for the key; ``success`` of the result says whether it is within the limit."""
        key = merged_options(options, named).get("key")
        if not isinstance(key, str):
            raise TypeError(f"limit() takes a key, which is a str, not {type(key).__name__}")
        return JsDict(await runtime.ask(self._name, "limit", [key]))

    def __repr__(self) -> str:
        return f"<rate limit {self._name}>"
