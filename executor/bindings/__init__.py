"""The host's side of ``env.*``: one file per binding type.

A binding answers the calls of one invocation with that worker's own rights. A type that is not in
:data:`TYPES` is refused.
"""

from typing import Any

from executor.bindings.assets import Assets
from executor.bindings.base import Binding, Refused, Scope
from executor.bindings.d1 import D1
from executor.bindings.dataset import Dataset
from executor.bindings.dispatch import Dispatch
from executor.bindings.kv import Kv
from executor.bindings.limiter import Limiter
from executor.bindings.objects import Objects
from executor.bindings.queue import Queue
from executor.bindings.r2 import R2
from executor.bindings.secret import Secret
from executor.bindings.service import Service

TYPES: dict[str, type[Binding]] = {
    "analytics_engine": Dataset,
    "assets": Assets,
    "d1": D1,
    "dispatch_namespace": Dispatch,
    "durable_object_namespace": Objects,
    "kv_namespace": Kv,
    "queue": Queue,
    "ratelimit": Limiter,
    "secrets_store_secret": Secret,
    "r2_bucket": R2,
    "service": Service,
}


def open_binding(spec: dict[str, Any], scope: Scope) -> Binding:
    """The binding of an uploaded description.

    Raises:
        Refused: this executor does not know the type.
    """
    kind = str(spec.get("type"))
    if kind not in TYPES:
        raise Refused("NotImplementedError", f"Bindings of type {kind!r} are not available here.")
    return TYPES[kind](spec, scope)


__all__ = ["TYPES", "Binding", "Refused", "Scope", "open_binding"]
