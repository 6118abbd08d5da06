"""The system call filter as a program: run on paper, for both machines."""

import errno
import struct

import pytest

from executor.sandbox import bpf, kernel, seccomp
from executor.sandbox.syscalls import ALLOWED, NUMBERS, REFUSED

MACHINES = list(kernel._MACHINES.values())
KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000


def verdict(program: bytes, audit: int, number: int, arguments=(0,) * 6) -> int:
    """What the kernel would answer: a small interpreter of classic BPF."""
    data = struct.pack("=IIQ6Q", number, audit, 0, *(one % 2**64 for one in arguments))
    word, at = 0, 0
    while True:
        code, true, false, constant = struct.unpack_from("=HBBI", program, 8 * at)
        at += 1
        match code:
            case 0x20:
                (word,) = struct.unpack_from("=I", data, constant)
            case 0x54:
                word &= constant
            case 0x05:
                at += constant
            case 0x15:
                at += true if word == constant else false
            case 0x35:
                at += true if word >= constant else false
            case 0x06:
                return constant
            case _:
                pytest.fail(f"unknown instruction {code:#x}")


def fitting(allow):
    """Arguments that fit an allowance."""
    arguments = [0] * 6
    for one in allow.when:
        arguments[one.index] |= one.values[0]
    return arguments


@pytest.fixture(params=MACHINES, ids=lambda machine: machine.name)
def machine(request):
    return request.param


def test_every_number_that_no_table_names_kills(machine):
    """Default deny: of all numbers only the listed ones get another answer."""
    program = seccomp.program(machine)
    listed = {both[machine.column] for both in NUMBERS.values()}
    for number in range(1024):
        if number not in listed:
            assert verdict(program, machine.audit, number) == KILL, number


def test_the_tables_name_each_call_once_and_no_other():
    """Numbers exist for exactly the calls that are allowed or refused with an error."""
    names = [one.name for one in (*ALLOWED, *REFUSED)]
    assert sorted(names) == sorted(set(names))
    assert set(names) == set(NUMBERS)


def test_another_architecture_kills(machine):
    """A call in another architecture's numbering is never looked up in ours."""
    program = seccomp.program(machine)
    i386, arm = 0x40000003, 0x40000028
    others = [one.audit for one in MACHINES if one is not machine]
    for audit in (i386, arm, *others):
        for number in range(1024):
            assert verdict(program, audit, number) == KILL


def test_the_x32_bit_kills(machine):
    """The x32 form of an allowed call is not that call."""
    program = seccomp.program(machine)
    for number in range(1024):
        assert verdict(program, machine.audit, number | 0x40000000) == KILL
        assert verdict(program, machine.audit, number | 0x80000000) == KILL


def test_an_allowed_call_with_fitting_arguments_is_let_through(machine):
    """Each line of the table does allow something."""
    program = seccomp.program(machine)
    for allow in ALLOWED:
        if (number := NUMBERS[allow.name][machine.column]) is not None:
            assert verdict(program, machine.audit, number, fitting(allow)) == ALLOW, allow.name


def test_an_allowed_call_with_any_other_argument_is_not(machine):
    """Each argument that a line narrows is looked at, in the bits that the kernel looks at."""
    program = seccomp.program(machine)
    for allow in ALLOWED:
        number = NUMBERS[allow.name][machine.column]
        misfit = KILL if allow.otherwise is None else ERRNO | allow.otherwise
        for one in allow.when if number is not None else ():
            for bit in range(64 if one.wide else 32):
                if one.mask >> bit & 1 or one.wide:
                    arguments = fitting(allow)
                    arguments[one.index] ^= 1 << bit
                    if arguments[one.index] & one.mask in one.values and not one.wide:
                        continue
                    assert verdict(program, machine.audit, number, arguments) == misfit, (one, bit)


def test_refused_calls_fail_with_their_error(machine):
    """Each refusal answers its error whatever the arguments."""
    program = seccomp.program(machine)
    for refuse in REFUSED:
        if (number := NUMBERS[refuse.name][machine.column]) is not None:
            assert verdict(program, machine.audit, number) == ERRNO | refuse.error
            assert verdict(program, machine.audit, number, (-1,) * 6) == ERRNO | refuse.error


def test_the_assembler_refuses_a_program_it_cannot_place():
    """A label that is missing, behind, twice there or too far is an error, not a wrong jump."""
    here = bpf.Label("here")
    with pytest.raises(ValueError, match="ahead"):
        bpf.assemble([bpf.go_to(here), bpf.answer(0)])
    with pytest.raises(ValueError, match="ahead"):
        bpf.assemble([here, bpf.go_to(here)])
    with pytest.raises(ValueError, match="twice"):
        bpf.assemble([here, here])
    with pytest.raises(ValueError, match="too far"):
        bpf.assemble([bpf.if_equal(1, here), *[bpf.answer(0)] * 256, here, bpf.answer(0)])
    with pytest.raises(ValueError, match="instructions"):
        bpf.assemble([bpf.answer(0)] * 4097)


def test_another_machine_is_refused(monkeypatch):
    """Where no table of system calls is known, there is no sandbox at all."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(kernel.NotReady, match="riscv64"):
        kernel.machine()


def test_the_errors_are_errors():
    """No refusal answers success."""
    assert all(refuse.error in errno.errorcode for refuse in REFUSED)
