"""What ``import workers`` is to tenant code: explicit tables of public names, nothing else."""

from types import ModuleType
from typing import Any

from executor.isolate.env import Env, patcher
from executor.isolate.workers import asgi, wsgi
from executor.isolate.workers.bodies import BodyStream
from executor.isolate.workers.caches import caches
from executor.isolate.workers.console import console
from executor.isolate.workers.entrypoints import (
    Context,
    DurableObject,
    WorkerEntrypoint,
    WorkflowEntrypoint,
    handler,
    import_from_javascript,
    wait_until,
)
from executor.isolate.workers.fetching import fetch
from executor.isolate.workers.forms import Blob, BlobEnding, File, FormData, FormDataValue
from executor.isolate.workers.headers import HeaderMap
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import FetchResponse, Response
from executor.isolate.workers.rpc import python_from_rpc, python_to_rpc


class NonRetryableError(Exception):
    """A Workflow step that must not be tried again."""


WORKERS: dict[str, Any] = {
    "Blob": Blob,
    "BlobEnding": BlobEnding,
    "BlobValue": str | bytes | Blob,
    "Body": Any,
    "Context": Context,
    "DurableObject": DurableObject,
    "FetchKwargs": dict[str, Any],
    "FetchResponse": FetchResponse,
    "File": File,
    "FormData": FormData,
    "FormDataValue": FormDataValue,
    "Headers": HeaderMap,
    "JSBody": BodyStream,
    "Request": Request,
    "RequestInitCfProperties": dict[str, Any],
    "Response": Response,
    "WorkerEntrypoint": WorkerEntrypoint,
    "WorkflowEntrypoint": WorkflowEntrypoint,
    "caches": caches,
    "console": console,
    "fetch": fetch,
    "handler": handler,
    "import_from_javascript": import_from_javascript,
    "python_from_rpc": python_from_rpc,
    "python_to_rpc": python_to_rpc,
    "waitUntil": wait_until,
    "wait_until": wait_until,
}
"""The module ``workers``, but for ``env`` and ``patch_env``, which each worker has its own of."""

SUBMODULES: dict[str, dict[str, Any]] = {
    "workers.asgi": {
        "entrypoint": asgi.entrypoint,
        "fetch": asgi.fetch,
        "websocket": asgi.websocket,
    },
    "workers.wsgi": {"entrypoint": wsgi.entrypoint, "fetch": wsgi.fetch},
    "workers.workflows": {"NonRetryableError": NonRetryableError},
}


def facades(env: Env) -> dict[str, ModuleType]:
    """The modules of the tenant's API, for a worker with that env."""
    modules = {name: _module(name, names) for name, names in SUBMODULES.items()}
    own = {"env": env, "patch_env": patcher(env)}
    submodules = {name.partition(".")[2]: module for name, module in modules.items()}
    modules["asgi"] = modules["workers.asgi"]
    modules["workers"] = _module("workers", {**WORKERS, **own, **submodules})
    return modules


def _module(name: str, names: dict[str, Any]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(names, __all__=[each for each in names if not each.startswith("_")])
    return module
