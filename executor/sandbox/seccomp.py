"""The system call filter of an isolate, built from the tables in ``syscalls``."""

import ctypes
from collections.abc import Iterator
from functools import cache

from executor.sandbox import bpf, kernel
from executor.sandbox.syscalls import ISOLATE, Allow, Arg, Table

_SET_MODE_FILTER = 1

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

_NUMBER_OFFSET, _ARCH_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_X32_BIT = 0x40000000


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install(table: Table = ISOLATE) -> None:
    """Filter every system call from here on. Needs no_new_privs; cannot be undone."""
    code = program(kernel.machine(), table)
    instructions = len(code) // 8
    fprog = _Program(instructions, code)
    kernel.syscall(kernel.machine().seccomp, _SET_MODE_FILTER, 0, ctypes.byref(fprog))


def program(machine: kernel.Machine, table: Table = ISOLATE) -> bytes:
    """The assembled filter for a machine."""
    return _assembled(machine, table)


@cache
def _assembled(machine: kernel.Machine, table: Table) -> bytes:
    return bpf.assemble(list(_lines(machine, table)))


def _lines(machine: kernel.Machine, table: Table) -> Iterator[bpf.Line]:
    native = bpf.Label("native")
    yield bpf.load(_ARCH_OFFSET)
    yield bpf.if_equal(machine.audit, native)
    # Another architecture's calls have other numbers; so has the x32 form of this one's.
    yield bpf.answer(_KILL_PROCESS)
    yield native
    yield bpf.load(_NUMBER_OFFSET)
    numbers = {name: both[machine.column] for name, both in table.numbers.items()}
    yield from _refuse_x32()
    for allow in table.allowed:
        if (number := numbers[allow.name]) is not None:
            yield from _allow(allow, number)
    for refuse in table.refused:
        if (number := numbers[refuse.name]) is not None:
            yield from _answer_if(refuse.name, number, _ERRNO | refuse.error)
    yield bpf.answer(_KILL_PROCESS)


def _refuse_x32() -> Iterator[bpf.Line]:
    x32, ordinary = bpf.Label("x32"), bpf.Label("ordinary")
    yield bpf.if_at_least(_X32_BIT, x32)
    yield bpf.go_to(ordinary)
    yield x32
    yield bpf.answer(_KILL_PROCESS)
    yield ordinary


def _answer_if(name: str, number: int, action: int) -> Iterator[bpf.Line]:
    following = bpf.Label(f"after {name}")
    yield bpf.unless_equal(number, following)
    yield bpf.answer(action)
    yield following


def _allow(allow: Allow, number: int) -> Iterator[bpf.Line]:
    following, misfit = bpf.Label(f"after {allow.name}"), bpf.Label(f"misfit {allow.name}")
    yield bpf.unless_equal(number, following)
    for position, argument in enumerate(allow.when):
        yield from _check(argument, bpf.Label(f"{allow.name} {position}"), misfit)
    yield bpf.answer(_ALLOW)
    if allow.when:
        yield misfit
        yield bpf.answer(_KILL_PROCESS if allow.otherwise is None else _ERRNO | allow.otherwise)
    yield following


def _check(argument: Arg, fits: bpf.Label, misfit: bpf.Label) -> Iterator[bpf.Line]:
    """Go on below if the argument is one of its values. Both machines are little-endian."""
    low = _ARGUMENTS_OFFSET + 8 * argument.index
    if argument.wide:
        yield bpf.load(low + 4)
        yield bpf.unless_equal(0, misfit)
    yield bpf.load(low)
    if argument.mask != 0xFFFFFFFF:
        yield bpf.mask(argument.mask)
    for value in argument.values:
        yield bpf.if_equal(value, fits)
    yield bpf.go_to(misfit)
    yield fits
