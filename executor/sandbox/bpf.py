"""A small assembler of classic BPF, as seccomp reads it. Jumps are to labels, forward only."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP = 0x05  # BPF_JMP | BPF_JA
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

MAX_INSTRUCTIONS = 4096
_MAX_OFFSET = 255


@dataclass(frozen=True)
class Label:
    """A place in the program. Each is placed once."""

    name: str


@dataclass(frozen=True)
class Instruction:
    code: int
    constant: int
    if_true: Label | None = None
    if_false: Label | None = None


Line = Instruction | Label


def load(offset: int) -> Instruction:
    """Load the word at this offset of ``struct seccomp_data``."""
    return Instruction(_LOAD_WORD, offset)


def mask(bits: int) -> Instruction:
    """Keep these bits of the loaded word."""
    return Instruction(_AND, bits)


def go_to(label: Label) -> Instruction:
    return Instruction(_JUMP, 0, if_true=label)


def unless_equal(constant: int, label: Label) -> Instruction:
    """Go to the label unless the word is this one."""
    return Instruction(_JUMP_EQUAL, constant, if_false=label)


def if_equal(constant: int, label: Label) -> Instruction:
    """Go to the label if the word is this one."""
    return Instruction(_JUMP_EQUAL, constant, if_true=label)


def if_at_least(constant: int, label: Label) -> Instruction:
    """Go to the label if the word is this or more."""
    return Instruction(_JUMP_AT_LEAST, constant, if_true=label)


def answer(action: int) -> Instruction:
    """The filter's verdict."""
    return Instruction(_RETURN, action)


def assemble(lines: Sequence[Line]) -> bytes:
    """The program as an array of ``struct sock_filter``.

    Raises:
        ValueError: a label is missing, placed twice or out of reach; or the program is too long.
    """
    places: dict[Label, int] = {}
    instructions: list[Instruction] = []
    for line in lines:
        if isinstance(line, Instruction):
            instructions.append(line)
        elif line in places:
            raise ValueError(f"{line} is placed twice")
        else:
            places[line] = len(instructions)
    if len(instructions) > MAX_INSTRUCTIONS:
        raise ValueError(f"{len(instructions)} instructions")
    return b"".join(_encode(i, places, at) for at, i in enumerate(instructions))


def _encode(instruction: Instruction, places: dict[Label, int], at: int) -> bytes:
    true = _offset(instruction.if_true, places, at)
    false = _offset(instruction.if_false, places, at)
    if instruction.code == _JUMP:
        return struct.pack("=HBBI", _JUMP, 0, 0, true)
    if max(true, false) > _MAX_OFFSET:
        raise ValueError(f"instruction {at} jumps too far")
    return struct.pack("=HBBI", instruction.code, true, false, instruction.constant)


def _offset(label: Label | None, places: dict[Label, int], at: int) -> int:
    if label is None:
        return 0
    if label not in places or places[label] <= at:
        raise ValueError(f"{label} is not ahead of instruction {at}")
    return places[label] - at - 1
