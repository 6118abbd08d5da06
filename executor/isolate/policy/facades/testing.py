"""``unittest``, so that a module with its tests inside can be imported: they run elsewhere."""

from collections.abc import Callable
from typing import Any, NoReturn


class SkipTest(Exception):
    """``unittest.SkipTest``."""


def _check(holds: Any, message: Any) -> None:
    if not holds:
        raise AssertionError(message)


class TestCase:
    """``unittest.TestCase``: what a test asserts, without what would run it."""

    longMessage = True
    maxDiff: int | None = 640
    failureException = AssertionError

    def __init__(self, methodName: str = "runTest") -> None:  # noqa: N803 - the library's name
        self.test_name = methodName

    def setUp(self) -> None:
        """Before each test."""

    def tearDown(self) -> None:
        """After each test."""

    @classmethod
    def setUpClass(cls) -> None:
        """Before all tests."""

    @classmethod
    def tearDownClass(cls) -> None:
        """After all tests."""

    def fail(self, msg: Any = None) -> NoReturn:
        """Fail."""
        raise AssertionError(msg)

    def skipTest(self, reason: Any) -> NoReturn:
        """Skip."""
        raise SkipTest(reason)

    def assertTrue(self, expr: Any, msg: Any = None) -> None:
        """Fail unless it is true."""
        _check(expr, msg or f"{expr!r} is not true")

    def assertFalse(self, expr: Any, msg: Any = None) -> None:
        """Fail if it is true."""
        _check(not expr, msg or f"{expr!r} is not false")

    def assertEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail unless both are equal."""
        _check(first == second, msg or f"{first!r} != {second!r}")

    def assertNotEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail if both are equal."""
        _check(first != second, msg or f"{first!r} == {second!r}")

    def assertIs(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail unless both are the same object."""
        _check(first is second, msg or f"{first!r} is not {second!r}")

    def assertIsNone(self, obj: Any, msg: Any = None) -> None:
        """Fail unless it is None."""
        _check(obj is None, msg or f"{obj!r} is not None")

    def assertIsNotNone(self, obj: Any, msg: Any = None) -> None:
        """Fail if it is None."""
        _check(obj is not None, msg or "unexpectedly None")

    def assertIn(self, member: Any, container: Any, msg: Any = None) -> None:
        """Fail unless the container has it."""
        _check(member in container, msg or f"{member!r} not found in {container!r}")

    def assertIsInstance(self, obj: Any, cls: Any, msg: Any = None) -> None:
        """Fail unless it is of the class."""
        _check(isinstance(obj, cls), msg or f"{obj!r} is not an instance of {cls!r}")

    def assertCountEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail unless both have the same items, in any order."""
        rest = list(second)
        for item in first:
            _check(item in rest, msg or f"{item!r} is one too many")
            rest.remove(item)
        _check(not rest, msg or f"{rest!r} are missing")

    assertListEqual = assertDictEqual = assertEqual  # noqa: N815 - the library's names
    assertTupleEqual = assertSetEqual = assertEqual  # noqa: N815
    assertSequenceEqual = assertMultiLineEqual = assertEqual  # noqa: N815


def main(*_arguments: Any, **_options: Any) -> NoReturn:
    """``unittest.main``.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("test a worker where you write it, outside of the worker")


def _decorator(*_arguments: Any) -> Callable[[Any], Any]:
    """``unittest.skip`` and the like: a note."""
    return _same


def _same(item: Any) -> Any:
    return item


UNITTEST: dict[str, Any] = {
    "TestCase": TestCase,
    "SkipTest": SkipTest,
    "main": main,
    "skip": _decorator,
    "skipIf": _decorator,
    "skipUnless": _decorator,
    "expectedFailure": _same,
}
