"""``env``: the worker's own values and bindings, and nothing else.

There is one a process. What an invocation adds (outbound parameters) and what ``patch_env``
overrides lies over it while it lasts.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from executor.isolate.workers.d1 import D1Database
from executor.isolate.workers.dataset import AnalyticsEngineDataset
from executor.isolate.workers.dispatching import DispatchNamespace
from executor.isolate.workers.kv import KVNamespace
from executor.isolate.workers.limiter import RateLimiter
from executor.isolate.workers.objects import DurableObjectNamespace
from executor.isolate.workers.queues import Queue
from executor.isolate.workers.r2 import R2Bucket
from executor.isolate.workers.secret import StoreSecret
from executor.isolate.workers.services import Fetcher, Service
from executor.isolate.workers.values import to_js_dicts


class Unavailable:
    """A binding of a type that this platform does not have. Any use of it is refused."""

    __slots__ = ("_name", "_type")

    def __init__(self, name: str, type_: str) -> None:
        self._name = name
        self._type = type_

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NotImplementedError(
            f"env.{self._name}: bindings of type {self._type} are not available on this platform"
        )


BINDINGS: dict[str, Callable[[str], Any]] = {
    "analytics_engine": AnalyticsEngineDataset,
    "assets": Fetcher,
    "d1": D1Database,
    "dispatch_namespace": DispatchNamespace,
    "durable_object_namespace": DurableObjectNamespace,
    "kv_namespace": KVNamespace,
    "queue": Queue,
    "ratelimit": RateLimiter,
    "secrets_store_secret": StoreSecret,
    "r2_bucket": R2Bucket,
    "service": Service,
}
"""What makes the tenant's side of a live binding, by its type."""


class Env:
    """The bindings as attributes."""

    __slots__ = ("_added", "_base", "_patches")

    def __init__(self) -> None:
        self._base: dict[str, Any] = {}
        self._added: dict[str, Any] = {}
        self._patches: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        for layer in (*reversed(self._patches), self._added, self._base):
            if name in layer:
                return layer[name]
        raise AttributeError(f"env has no binding named {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in Env.__slots__:
            raise AttributeError(f"env.{name} cannot be set; see patch_env")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return "<env>"


def fill(env: Env, values: Mapping[str, Any], live: Mapping[str, str]) -> None:
    """Give the env its version's values and live bindings (name to type)."""
    env._base = {name: to_js_dicts(value) for name, value in values.items()}
    for name, type_ in live.items():
        make = BINDINGS.get(type_)
        env._base[name] = make(name) if make else Unavailable(name, type_)


def begin(env: Env, added: Mapping[str, Any]) -> None:
    """Make it the env of one invocation."""
    if added or env._added:
        env._added = {name: to_js_dicts(value) for name, value in added.items()}
    env._patches.clear()


class Patch:
    """One ``patch_env`` that was called."""

    __slots__ = ("_env", "_values")

    def __init__(self, env: Env, values: dict[str, Any]) -> None:
        self._env = env
        self._values = values

    def __enter__(self) -> None:
        self._env._patches.append(self._values)

    def __exit__(self, *_error: object) -> None:
        patches = self._env._patches
        patches[:] = [each for each in patches if each is not self._values]


def patcher(env: Env) -> Callable[..., Patch]:
    """The ``patch_env`` of that env."""

    def patch_env(
        overrides: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **named: Any
    ) -> Patch:
        """Override values of ``env`` for a while (``with patch_env(...)``)."""
        return Patch(env, {**dict(overrides), **named})

    return patch_env
