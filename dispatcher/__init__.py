"""The front door: who gets a tenant's request. What a dispatch worker imports is here."""

from dispatcher.environment import Environment
from dispatcher.failures import (
    CpuLimitExceeded,
    DepthExceeded,
    DispatchFailure,
    InvocationCanceled,
    MemoryLimitExceeded,
    NoAnswer,
    Overloaded,
    PlatformFailure,
    ResponseTooLarge,
    WallLimitExceeded,
    WorkerNotFound,
    WorkerThrew,
)
from dispatcher.headers import Headers
from dispatcher.messages import Request, Response
from dispatcher.worker import Context, DispatchWorker

__all__ = [
    "Context",
    "CpuLimitExceeded",
    "DepthExceeded",
    "DispatchFailure",
    "DispatchWorker",
    "Environment",
    "Headers",
    "InvocationCanceled",
    "MemoryLimitExceeded",
    "NoAnswer",
    "Overloaded",
    "PlatformFailure",
    "Request",
    "Response",
    "ResponseTooLarge",
    "WallLimitExceeded",
    "WorkerNotFound",
    "WorkerThrew",
]
