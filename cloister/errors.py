"""Errors of the platform itself.

::

    CloisterError
    ├── SettingInvalid        a setting cannot be used; start-up stops
    ├── NotReady              a needed service or kernel facility is missing
    ├── NotFound              nothing of that name is registered
    ├── Conflict              the name is taken, or still in use
    └── Invalid               a value breaks a rule; carries the field it is about

What a *tenant's* invocation can end in is not an error but an outcome: see ``cloister.outcomes``.
"""


class CloisterError(Exception):
    """Something went wrong in Cloister; see the log."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class SettingInvalid(CloisterError):
    """A setting cannot be used."""


class NotReady(CloisterError):
    """A service or a kernel facility that Cloister needs is missing."""


class NotFound(CloisterError):
    """Nothing of that name is registered."""


class Conflict(CloisterError):
    """That name is taken, or the thing is still in use."""


class Invalid(CloisterError):
    """A value breaks a rule.

    Attributes:
        code: the REST error code, reference section 6.4 of the product re-created.
        pointer: the field at fault, as a path such as ``/bindings/0/name``.
    """

    def __init__(self, message: str, *, code: int = 10004, pointer: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.pointer = pointer
