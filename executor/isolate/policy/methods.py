"""Methods of the worker's classes that the library trusts: what they are given and give."""

import types
from typing import Any

from executor.isolate.policy.kinds import without_metaclass
from executor.isolate.policy.ownership import is_class, is_own, own_classes
from executor.isolate.policy.wrappers import around


def subclass_hook(hook: Any) -> Any:
    """A class's ``__subclasshook__``, which is asked about every class there is.

    It is given the stand-ins of those that a worker must not hold.

    Raises:
        TypeError: it is not a class method.
    """
    if type(hook) is not classmethod:
        raise TypeError("__subclasshook__ must be a classmethod")
    return classmethod(lambda cls, candidate: hook.__get__(None, cls)(without_metaclass(candidate)))


def new(function: Any) -> Any:
    """A class's ``__new__``: the library writes on what it returns as on an object of the class.

    Raises:
        TypeError: it is not a function.
    """
    make = function.__func__ if type(function) is staticmethod else function
    if not callable(make):
        raise TypeError("__new__ must be a function")
    checked = around(make, _NEW, {"__own__": own_classes, "__check__": _check_made})
    vars(checked)["__wrapped__"] = make
    return staticmethod(checked)


_NEW = """
__made__ = CALL
if __type__(__made__) not in __own__:
    __check__(__made__)
return __made__
""".strip()


def _check_made(made: Any) -> None:
    """Let an object of the worker pass, and data that has no attributes to set.

    Raises:
        TypeError: it is something else of the library or the platform.
    """
    if is_own(made) or (not is_class(made) and type(made).__dictoffset__ == 0):
        return
    raise TypeError(f"__new__ cannot return a {type(made).__name__} object of the platform")


def attribute_getter(function: Any) -> Any:
    """A class's ``__getattribute__``: what it gives for ``__class__`` is a class.

    The interpreter looks the class up among those that it knows, such as the ones that an abstract
    class has seen; an object that equals all of them would be handed each.

    Raises:
        TypeError: it is not a function.
    """
    if type(function) is not types.FunctionType:
        raise TypeError("__getattribute__ must be a function")

    def get_attribute(self: Any, name: str, /) -> Any:
        value = function(self, name)
        if name == "__class__" and not is_class(value):
            raise TypeError(f"__class__ must be a class, not a {type(value).__name__} object")
        return value

    return get_attribute
