"""Which names worker code may read, write and define: tables, with the reasons.

Three facts decide about an attribute name: whether it is public, whether the interpreter gives it
a meaning, and whose object it is on. What can be decided from the name alone is decided at compile
time; the rest goes through :mod:`executor.isolate.policy.guards`.
"""

import abc
import enum
import types
import typing

from RestrictedPython.transformer import INSPECT_ATTRIBUTES

_INSPECTED = (
    types.FrameType,
    types.CodeType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.TracebackType,
)

INTERPRETER_ATTRIBUTES: frozenset[str] = (
    frozenset(
        name
        for kind in _INSPECTED
        for name in vars(kind)
        if name.startswith(("f_", "co_", "gi_", "cr_", "ag_", "tb_"))
    )
    | INSPECT_ATTRIBUTES
    | {"mro", "func_globals", "func_code", "func_closure", "im_func", "im_self"}
) - {"tb_lineno"}  # an int, and ordinary programs print it
"""Public names that lead to frames, code objects or the class tree. Refused on every object."""

METACLASS_ATTRIBUTES: frozenset[str] = frozenset(
    name
    for meta in (abc.ABCMeta, enum.EnumMeta, type(typing.Protocol))
    for name in vars(meta)
    if name.startswith("_") and not name.startswith("__")
)
"""Private names that a class finds on its metaclass: some make classes, some read modules."""

GUARDED_PUBLIC: dict[str, str] = {
    "format": "str.format reads attributes named in the text",
    "format_map": "str.format_map reads attributes named in the text",
    "obj": "AttributeError.obj is the object that lacked the attribute, maybe one of the runtime",
    "get_loop": "leads from a task or future to the runtime's event loop",
    "get_coro": "leads from a task to the runtime's own coroutine",
    "get_context": "leads from a task to the runtime's context variables",
    "get_stack": "returns frames",
    "print_stack": "prints frames, and source files",
    "parser": "leads from a path to a module",
    "groupindex": "a pattern is shared by all that compile the same text, its table with it",
}
"""Public names whose meaning depends on the object: read through a guard at run time."""

_NUMERIC = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow")
_BITWISE = ("lshift", "rshift", "and", "xor", "or")
_UNARY = ("neg", "pos", "abs", "invert", "complex", "int", "float", "index", "round", "trunc")
_COMPARED = ("floor", "ceil", "lt", "le", "eq", "ne", "gt", "ge", "hash", "bool", "str", "repr")
_CONTAINER = ("len", "length_hint", "getitem", "setitem", "delitem", "missing", "contains")
_ITERATED = ("iter", "next", "reversed", "await", "aiter", "anext")
_CALLED = ("call", "enter", "exit", "aenter", "aexit", "bytes", "format", "fspath")

OPERATORS: frozenset[str] = frozenset(
    [f"__{p}{name}__" for name in (*_NUMERIC, *_BITWISE) for p in ("", "r", "i")]
    + [f"__{n}__" for n in (*_UNARY, *_COMPARED, *_CONTAINER, *_ITERATED, *_CALLED)]
)
"""Dunder methods that only do what an operator or a public builtin does."""

OPEN_DUNDERS: frozenset[str] = OPERATORS | {
    "__name__",
    "__qualname__",
    "__doc__",
    "__module__",
    "__version__",
    "__cause__",
    "__context__",
    "__suppress_context__",
    "__notes__",
    "__traceback__",  # opaque: every name that leads on from it is refused
    "__abstractmethods__",
    "__isabstractmethod__",
    "__total__",
    "__required_keys__",
    "__optional_keys__",
}
"""Dunder names that are a plain load on every object."""

TYPING_DUNDERS: frozenset[str] = frozenset(
    {
        "__args__",
        "__origin__",
        "__parameters__",
        "__metadata__",
        "__members__",
        "__supertype__",
        "__bound__",
        "__constraints__",
        "__covariant__",
        "__contravariant__",
        "__infer_variance__",
        "__default__",
        "__type_params__",
        "__value__",
    }
)
"""Readable on every object; a metaclass among the results is replaced by the safe ``type``."""

_REBUILDS = "it rebuilds objects without their constructor; use copy.copy()"
_CLASS_TREE = "it leads to the class tree; use isinstance(), issubclass() or super()"
_NO_METACLASS = "metaclasses are not available; use __init_subclass__ or a class decorator"
_INTERPRETER = "it belongs to the interpreter"

_DUNDER_FORM = "names of this form belong to the interpreter; take off the underscores at the end"

_LEADS_ON = {
    "tb_": "it leads to frames; the module traceback formats an exception and its lines",
    "co_": "it leads to code objects; __name__ and __qualname__ say which function it is",
    "mro": "it leads to the class tree; use isinstance(), issubclass() or super()",
}
"""Why, by the first letters of an interpreter's attribute."""

_LEADS_AWAY = "it leads to frames or code objects; keep what you need in variables of your own"

FORBIDDEN_DUNDERS: dict[str, str] = {
    "__globals__": "it is the namespace of a function's module; globals() is a copy of your own",
    "__code__": "it is a code object; __name__ and __qualname__ say which function it is",
    "__closure__": "it holds the cells of a function; return the values from it",
    "__builtins__": "it holds the interpreter's own functions; call them by their names",
    "__subclasses__": "it lists every class of the interpreter; keep a list in __init_subclass__",
    "__mro__": _CLASS_TREE,
    "__bases__": _CLASS_TREE,
    "__base__": _CLASS_TREE,
    "__objclass__": _CLASS_TREE,
    "__reduce__": _REBUILDS,
    "__reduce_ex__": _REBUILDS,
    "__getnewargs__": _REBUILDS,
    "__getnewargs_ex__": _REBUILDS,
    "__self__": "it leads from a method to its owner; keep the object in a variable",
    "__self_class__": "it leads into super(); use type(self)",
    "__thisclass__": "it leads into super(); name the class",
    "__loader__": "it loads modules; use importlib.import_module()",
    "__spec__": "it leads to a module's loader; use __name__ and __package__",
    "__cached__": "it is a path of the platform; use __file__",
    "__import__": "use the import statement, or importlib.import_module()",
    "__build_class__": "use a class statement",
    "__prepare__": _NO_METACLASS,
    "__instancecheck__": _NO_METACLASS,
    "__subclasscheck__": _NO_METACLASS,
    "__mro_entries__": "it replaces base classes; name the class to extend",
    "__forward_code__": "it is a code object",
    "__callback__": "it leads to the runtime's callbacks",
    "__weakrefoffset__": _INTERPRETER,
    "__dictoffset__": _INTERPRETER,
    "__basicsize__": _INTERPRETER,
    "__itemsize__": _INTERPRETER,
    "__flags__": _INTERPRETER,
    "__warningregistry__": _INTERPRETER,
    "__classcell__": _INTERPRETER,
    "__typing_subst__": "it belongs to typing",
    "__buffer__": "it exposes memory; give out bytes or a memoryview of them",
    "__release_buffer__": "it exposes memory",
}
"""Dunder names refused at upload on every object, each with the reason."""

DEFINABLE_DUNDERS: frozenset[str] = OPERATORS | {
    "__init__",
    "__new__",
    "__del__",
    "__post_init__",
    "__dir__",
    "__sizeof__",
    "__copy__",
    "__deepcopy__",
    "__replace__",
    "__getstate__",
    "__setstate__",
    "__reduce__",  # nothing here asks for these five: pickle is not there, copy has its own way
    "__reduce_ex__",
    "__getnewargs__",
    "__getnewargs_ex__",
    "__getinitargs__",
    "__getattr__",
    "__getattribute__",
    "__setattr__",
    "__delattr__",
    "__get__",
    "__set__",
    "__delete__",
    "__set_name__",
    "__init_subclass__",
    "__class_getitem__",
    "__subclasshook__",
    "__slots__",
    "__doc__",
    "__qualname__",
    "__name__",
}
"""Dunder names of the interpreter that a class of the worker may define."""

CHECKED_METHODS = ("__new__", "__subclasshook__")
"""Methods whose results or arguments are checked, so that they must be defined with ``def``."""

CONVENTIONAL_DUNDERS: frozenset[str] = frozenset(
    {
        "__version__",
        "__version_info__",
        "__author__",
        "__authors__",
        "__email__",
        "__license__",
        "__copyright__",
        "__credits__",
        "__status__",
        "__date__",
        "__maintainer__",
        "__title__",
        "__description__",
        "__url__",
        "__html__",
        "__json__",
        "__rich__",
        "__rich_repr__",
        "__rich_console__",
        "__rich_measure__",
        "__tracebackhide__",
        "__maintainer_email__",
        "__version_tuple__",
        "__commit_id__",
        "__release__",
        "__revision__",
        "__major_version__",
        "__minor_version__",
        "__docformat__",
        "__contact__",
        "__homepage__",
        "__project__",
        "__keywords__",
        # Python 2 gave these a meaning
        "__unicode__",
        "__nonzero__",
        "__cmp__",
        "__div__",
        "__rdiv__",
        "__idiv__",
        "__long__",
        "__coerce__",
        "__getslice__",
        "__setslice__",
        "__delslice__",
        "__metaclass__",
        "__build__",
        "__summary__",
        "__uri__",
        "__tablename__",
        "__table_args__",
        "__test__",
    }
)
"""Dunder names that only libraries and people give a meaning."""

STORABLE_DUNDERS: frozenset[str] = frozenset(
    {"__name__", "__qualname__", "__doc__", "__wrapped__", "__signature__"}
)
"""Dunder attributes that may be assigned, on the worker's own functions and classes."""

STORABLE_EXCEPTION_DUNDERS: frozenset[str] = frozenset(
    {"__cause__", "__context__", "__suppress_context__", "__traceback__", "__notes__"}
)
"""Dunder attributes that may be assigned on any exception."""

MODULE_DUNDERS: frozenset[str] = frozenset({"__all__", "__getattr__", "__dir__", "__doc__"})
"""Dunder names of the interpreter that a module of the worker may bind."""

READABLE_NAMES: frozenset[str] = frozenset(
    {
        "__name__",
        "__file__",
        "__package__",
        "__path__",
        "__annotations__",
        "__class__",
        "__module__",
        "__debug__",
    }
)
"""Dunder variables that may be read although a worker may not bind them."""

NAMEDTUPLE_NAMES: frozenset[str] = frozenset(
    {"_asdict", "_replace", "_make", "_fields", "_field_defaults"}
)
"""The documented names of a named tuple, in spite of their underscore."""

ENUM_NAMES: frozenset[str] = frozenset({"_value_", "_name_"})
"""The documented names of an enum member, in spite of their underscore."""

REFUSED_NAMES: dict[str, str] = {
    "eval": "code cannot be made at run time; ast.literal_eval() reads literals",
    "exec": "code cannot be made at run time; use a function",
    "compile": "code cannot be made at run time; use a function",
    "breakpoint": "there is no debugger; use print() or logging",
    "locals": "local variables are not a dictionary here; build the dict you need",
    "help": "there is no console; read __doc__",
}
"""Builtins that do not exist here, each with what to use instead."""

RESERVED_NAMES: dict[str, str] = {
    "super": "methods find their base class through it; take another name",
}
"""Names that worker code must not rebind."""


def is_dunder(name: str) -> bool:
    """Whether the name has the form that is reserved for the interpreter."""
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


def is_plain(name: str) -> bool:
    """Whether reading this attribute is harmless on every object, so that it needs no guard."""
    if name.startswith("_"):
        return name in OPEN_DUNDERS or name == "_"
    return "$" not in name and name not in INTERPRETER_ATTRIBUTES and name not in GUARDED_PUBLIC


def refusal(name: str) -> str | None:
    """Why the attribute is refused on every object, or None."""
    if name in INTERPRETER_ATTRIBUTES:
        return _LEADS_ON.get(name[:3], _LEADS_AWAY)
    if name in METACLASS_ATTRIBUTES:
        return "it belongs to the metaclass; enums and abstract classes have public methods"
    if "$" in name:
        return "it belongs to the policy"
    return FORBIDDEN_DUNDERS.get(name)


def definition_refusal(name: str, *, in_class: bool) -> str | None:
    """Why a variable, function or class of this name may not be made, or None."""
    if name in RESERVED_NAMES:
        return RESERVED_NAMES[name]
    if not is_dunder(name) or name in CONVENTIONAL_DUNDERS:
        return None
    if name in (DEFINABLE_DUNDERS if in_class else MODULE_DUNDERS):
        return None
    return FORBIDDEN_DUNDERS.get(name, _DUNDER_FORM)
