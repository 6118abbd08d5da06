"""``xml.etree.ElementTree`` without document types: what they declare can grow without bound.

Entities that a document declares and everything external are gone with them.
"""

import xml.etree.ElementTree as ET
from typing import Any, NoReturn

from executor.isolate.policy import guards, kinds, output

_EVENTS = ("start", "end", "data", "comment", "pi", "start_ns", "end_ns", "close")


class _Parser(ET.XMLParser):
    """The library's parser, which looks this attribute up where a document type starts."""

    @property
    def doctype(self) -> NoReturn:
        """Refuse a document type.

        Raises:
            ParseError: always.
        """
        raise ET.ParseError("a document type (<!DOCTYPE>, with its entities) is not accepted")


class _Target:
    """A worker's target, without what a document type would tell it."""

    __slots__ = _EVENTS

    def __init__(self, target: Any) -> None:
        for name in _EVENTS:
            if guards.guarded_hasattr(target, name):
                setattr(self, name, guards.read(target, name))


def builder(*, insert_comments: bool = False, insert_pis: bool = False) -> ET.TreeBuilder:
    """``TreeBuilder``. Its factories are left out: it writes on what they return."""
    return ET.TreeBuilder(insert_comments=bool(insert_comments), insert_pis=bool(insert_pis))


def parser(*, target: Any = None, encoding: str | None = None) -> _Parser:
    """``XMLParser``."""
    plain = target is None or type(target) is ET.TreeBuilder
    return _Parser(target=target if plain else _Target(target), encoding=encoding)


def indent(tree: Any, space: str = "  ", level: int = 0) -> None:
    """``indent``, of elements of the library: it writes on them.

    Raises:
        TypeError: it is something else.
    """
    root = tree.getroot() if type(tree) is ET.ElementTree else tree
    if type(root) is not ET.Element:
        raise TypeError("indent() takes an element or a tree of elements")
    ET.indent(root, space, level)


def dump(elem: Any) -> None:
    """``dump``, to the worker's log."""
    root = elem.getroot() if type(elem) is ET.ElementTree else elem
    output.stdout.write(ET.tostring(root, encoding="unicode") + "\n")


ETREE: dict[str, Any] = {
    "XMLParser": kinds.stand_in(ET.XMLParser, "XMLParser", make=parser, also=(_Parser,)),
    "TreeBuilder": kinds.stand_in(ET.TreeBuilder, "TreeBuilder", make=builder),
    "indent": indent,
    "dump": dump,
}
