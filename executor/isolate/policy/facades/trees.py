"""``xml.etree.ElementTree`` without document types: what they declare can grow without bound.

Entities that a document declares and everything external are gone with them.
"""

from collections.abc import Callable
from typing import Any, NoReturn
from xml.etree import ElementTree  # noqa: ICN001 - ET is the one in Python

from executor.isolate.policy import guards, kinds, output
from executor.isolate.policy.etree import ET

_READ_BYTES = 64 * 1024
_REPORTED = frozenset({"start", "end", "comment", "pi", "start-ns", "end-ns"})
_EVENTS = ("start", "end", "data", "comment", "pi", "start_ns", "end_ns", "close")


class _Parser(ElementTree.XMLParser):
    """The library's parser in C, which leaves the tree to its target."""

    _busy = False

    @property
    def doctype(self) -> NoReturn:
        """Refuse a document type: the parser looks this attribute up where one starts.

        Raises:
            ParseError: always.
        """
        raise ET.ParseError("a document type (<!DOCTYPE>, with its entities) is not accepted")

    def feed(self, data: Any, /) -> None:
        """Parse more of a document."""
        self._alone(super().feed, data)

    def close(self) -> Any:
        """What came of the document."""
        return self._alone(super().close)

    def flush(self) -> None:
        """Parse what was fed already, where this Python has that."""
        self._alone(super().flush)

    def _alone(self, run: Callable[..., Any], *arguments: Any) -> Any:
        """Run, unless a target asks for it: the parser in C is not made for that."""
        if self._busy:
            raise RuntimeError("a parser cannot be used by its own target")
        self._busy = True
        try:
            return run(*arguments)
        finally:
            self._busy = False

    def _parse_whole(self, source: Any) -> Any:
        """For ``ElementTree.parse``."""
        while data := source.read(_READ_BYTES):
            self.feed(data)
        return self.close()

    def _setevents(self, queue: Any, events: Any) -> None:
        """For ``XMLPullParser``."""
        if type(self.target) is not _Builder:
            raise TypeError("event handling only supported for ElementTree.TreeBuilder targets")
        self.target.report(queue.append, events)


class _Builder:
    """A target that builds a tree, and can tell what it does."""

    __slots__ = ("_append", "_events", "_tree", "data")

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        self._events: frozenset[str] = frozenset()
        self._append: Callable[[Any], Any] = id
        self.data = tree.data

    def report(self, append: Callable[[Any], Any], events: Any) -> None:
        """Tell of these events from now on.

        Raises:
            ValueError: one of them is none.
        """
        if unknown := set(events) - _REPORTED:
            raise ValueError(f"unknown event {min(unknown)!r}")
        self._append, self._events = append, frozenset(events)

    def start(self, tag: str, attrib: dict[str, str], /) -> Any:
        """An element begins."""
        return self._tell("start", self._tree.start(tag, attrib))

    def end(self, tag: str, /) -> Any:
        """An element ends."""
        return self._tell("end", self._tree.end(tag))

    def comment(self, text: str, /) -> Any:
        """A comment."""
        return self._tell("comment", self._tree.comment(text))

    def pi(self, target: str, data: str | None = None, /) -> Any:
        """A processing instruction."""
        return self._tell("pi", self._tree.pi(target, data))

    def start_ns(self, prefix: str | None, uri: str | None, /) -> None:
        """A namespace begins."""
        self._tell("start-ns", (prefix or "", uri or ""))

    def end_ns(self, _prefix: str | None, /) -> None:
        """A namespace ends."""
        self._tell("end-ns", None)

    def close(self) -> Any:
        """The tree."""
        return self._tree.close()

    def _tell(self, event: str, what: Any) -> Any:
        if event in self._events:
            self._append((event, what))
        return what


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
    if target is None or type(target) is ET.TreeBuilder:
        return _Parser(target=_Builder(target or ET.TreeBuilder()), encoding=encoding)
    return _Parser(target=_Target(target), encoding=encoding)


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
    **{name: value for name, value in vars(ET).items() if not name.startswith("_")},
    "XMLParser": kinds.stand_in(ElementTree.XMLParser, "XMLParser", make=parser, also=(_Parser,)),
    "TreeBuilder": kinds.stand_in(ET.TreeBuilder, "TreeBuilder", make=builder),
    "indent": indent,
    "dump": dump,
}
