"""Names of the guards that transformed code calls.

None is a Python identifier, so that no source can read, rebind or shadow one, in whatever form:
parameter, import, class attribute, ``global``, walrus, pattern.
"""

GETATTR = "$getattr"
GETATTR_PLAIN = "$getattr_plain"
HASATTR_PLAIN = "$hasattr_plain"
WRITE = "$write"
WRITE_OWN = "$write_own"
WRITE_DUNDER = "$write_dunder"
OWN = "$own"
TYPE = "$type"
TYPE_OF = "$type_of"
FOREIGN = "$foreign"
FOREIGN_OR_CLASS = "$foreign_or_class"
MARK = "$mark"
MATCH_ARGS = "$match_args"
MATCHABLE = "$matchable"
SUBCLASS_HOOK = "$subclass_hook"
NEW = "$new"
PATTERN_CLASS = "_$class"
"""Begins the variables that hold the checked classes of patterns."""
HELD = "_$held"
"""The variable of a function that holds an object between its check and its use."""
IMPORT = "$import"
IMPORT_LEAF = "$import_leaf"
IMPORT_FROM = "$import_from"
IMPORT_ALL = "$import_all"

SELF_MATCHING = (
    "bool", "bytearray", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str",
    "tuple",
)  # fmt: skip
"""Builtins whose pattern's one positional part is the object itself."""


def builtin(name: str) -> str:
    """The name under which code finds that builtin, whatever the worker calls so."""
    return f"${name}"


def checked(name: str) -> str:
    """The variable that says whether the object in ``name`` is an instance of an own class."""
    return f"{name}$own"


MARK_ATTRIBUTE = "_abc_$own"
"""The class attribute that says "made by a class statement of this worker".

The prefix keeps it out of typing.Protocol's members; its value is a descriptor, which keeps it out
of an enum's.
"""
