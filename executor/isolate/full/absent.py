"""Functions of the library that ask for what a cell does not have: they fail with a clear error.

No wall: the kernel refuses all of it, but ends the isolate for much of it on the spot. Here a
worker that tries in good faith is told instead. Of ``os``, what is not known to be harmless fails.
"""

import errno
import importlib
import os
import posix
import selectors
import socket
import tempfile
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

KEPT = frozenset(
    {
        # Pure, or about ourselves:
        *("WCOREDUMP", "WEXITSTATUS", "WIFCONTINUED", "WIFEXITED", "WIFSIGNALED", "WIFSTOPPED"),
        *("WSTOPSIG", "WTERMSIG", "_exit", "abort", "cpu_count", "device_encoding", "fspath"),
        *("getegid", "geteuid", "getgid", "getpid", "getrandom", "getuid", "major", "makedev"),
        *("minor", "putenv", "register_at_fork", "strerror", "unsetenv", "urandom"),
        *("waitstatus_to_exitcode", "_path_normpath", "_path_splitroot", "_path_splitroot_ex"),
        *("_create_environ", "_inputhook", "sched_yield"),
        # Fail with an error of their own:
        *("access", "close", "fstat", "get_blocking", "get_inheritable", "get_terminal_size"),
        *("getcwd", "getcwdb", "getloadavg", "getppid", "isatty", "listdir", "lseek", "lstat"),
        *("open", "read", "readlink", "readv", "scandir", "sched_getaffinity", "set_blocking"),
        *("stat", "sysconf", "confstr", "write", "writev"),
    }
)
"""The functions of ``posix`` that stay."""

WITHOUT: dict[str, tuple[str, ...]] = {
    "_multiprocessing": ("sem_unlink",),
    "_posixshmem": ("shm_open", "shm_unlink"),
    "_posixsubprocess": ("fork_exec",),
    "_socket": (
        *("getaddrinfo", "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "getnameinfo"),
        *("getprotobyname", "getservbyname", "getservbyport", "if_indextoname", "if_nameindex"),
        *("if_nametoindex", "sethostname", "socketpair", "dup", "close"),
    ),
    "fcntl": ("flock", "lockf"),
    "select": ("epoll",),
    "signal": (
        *("alarm", "getitimer", "pause", "pidfd_send_signal", "pthread_kill", "raise_signal"),
        *("setitimer", "sigpending", "sigtimedwait", "sigwait", "sigwaitinfo"),
    ),
    "syslog": ("closelog", "openlog", "syslog"),
    "time": ("clock_settime", "clock_settime_ns"),
}
"""The same of other modules."""

NOBODY_KNOWN = {"grp": ("getgrgid", "getgrnam"), "pwd": ("getpwnam", "getpwuid")}
"""Questions about users: nobody is found."""

_WHAT = "A worker has no files, sockets, processes or signals"


class Change(NamedTuple):
    """A name of a module or class, and what it is to be."""

    owner: Any
    name: str
    value: Any


def changes() -> list[Change]:
    """All that has to be set, made while modules can be imported. See :func:`apply`."""
    told = os.uname_result(("Linux", "worker", "", "", os.uname().machine))
    of_machine = [Change(module, "uname", lambda: told) for module in (os, posix)]
    return [*_of_posix(), *_of_others(), *_of_classes(), *of_machine]


def apply(changes_: list[Change]) -> None:
    """From here on the functions fail. For an isolate: the zygote needs them."""
    for owner, name, value in changes_:
        setattr(owner, name, value)
    os.environ.setdefault("HOME", "/worker")  # else expanduser() asks who we are


def _of_posix() -> Iterator[Change]:
    for name, value in vars(posix).items():
        if isinstance(value, types.BuiltinFunctionType) and name not in KEPT:
            refuse = refusal(f"os.{name}")
            yield Change(posix, name, refuse)
            if getattr(os, name, None) is value:
                yield Change(os, name, refuse)


def _of_others() -> Iterator[Change]:
    for module_name, names in WITHOUT.items():
        for module in _modules(module_name):
            for name in names:
                if hasattr(module, name):
                    shown = f"{module.__name__.lstrip('_')}.{name}"
                    yield Change(module, name, refusal(shown))
    for module_name, names in NOBODY_KNOWN.items():
        for module in _modules(module_name):
            for name in names:
                yield Change(module, name, _nobody)


def _modules(name: str) -> Iterator[types.ModuleType]:
    """The module, and the one in Python that shows the same names, if there is one."""
    for each in (name, name.removeprefix("_")):
        try:
            module = importlib.import_module(each)
        except ModuleNotFoundError:
            continue
        yield module
        if each == name.removeprefix("_"):
            return


def _of_classes() -> Iterator[Change]:
    """Classes whose instances are what is not there; and the node's number, which libuuid would
    look for with a socket."""
    yield Change(socket.socket, "__init__", refusal("socket.socket"))
    if hasattr(selectors, "EpollSelector"):
        epoll = staticmethod(refusal("select.epoll"))
        yield Change(selectors.EpollSelector, "_selector_cls", epoll)
    # What a framework spools, of a form say, stays in memory.
    yield Change(tempfile.SpooledTemporaryFile, "rollover", lambda _file: None)
    uuid = importlib.import_module("uuid")
    for name, value in (("_generate_time_safe", None), ("_UuidCreate", None), ("_GETTERS", [])):
        if hasattr(uuid, name):
            yield Change(uuid, name, value)


def refusal(name: str) -> Callable[..., NoReturn]:
    """A function that stands for ``name`` and always fails."""

    def refused(*_arguments: object, **_options: object) -> NoReturn:
        raise PermissionError(errno.EPERM, f"{_WHAT}: {name}() is not available; use fetch()")

    refused.__name__ = refused.__qualname__ = name.rpartition(".")[2]
    return refused


def _nobody(who: object) -> NoReturn:
    raise KeyError(f"name not found: {who!r}")
