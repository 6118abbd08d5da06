"""The page ``docs/language.md``, made from the policy's own tables.

``python -m executor.isolate.policy.page`` prints it; a test compares it with the file.
"""

import sys
from collections.abc import Iterable, Iterator

from executor.isolate.policy import bounds, building, etree, names
from executor.isolate.policy.builtin_names import base_builtins
from executor.isolate.policy.facades.absent import HINTS
from executor.isolate.policy.facades.compression import MAX_OUTPUT_BYTES
from executor.isolate.policy.facades.table import MODULES
from executor.isolate.policy.sources import PLATFORM_MODULES, VENDORED
from executor.isolate.policy.writable import WRITABLE

_INTRODUCTION = """\
# The Python of workers

<!-- Made by `python -m executor.isolate.policy.page` from the policy's tables: do not edit. -->

A worker is ordinary Python.
What reaches into the interpreter is refused: at upload where the source shows it, all of it at once with file, line and column, and otherwise when it runs.
This page lists what is there and what is not; a test keeps it equal to the code.

The language is the first of two walls and protects the runtime inside the isolate.
It bounds neither CPU nor memory: the executor does that, and the kernel keeps the isolate apart from everything else.

## What runs unchanged

- Functions, lambdas, closures, decorators, generators, `global` and `nonlocal`, every form of parameter and argument.
- `async` functions, generators, comprehensions, `for` and `with`; `await` anywhere in them.
- Classes with inheritance, properties, class and static methods, descriptors, `super()`, `__slots__`, `__init_subclass__`, `__set_name__`, `__class_getitem__` and the dunder methods listed below.
- Dataclasses, enums, named tuples, abstract classes, `typing` with generics, `Protocol`, `TypedDict` and `NamedTuple`, annotations of every kind.
- Where Python has them (3.12): type parameters in brackets, `type` statements, f-strings with their own quotes inside.
- `match` with all patterns, the walrus, f-strings, unpacking, slices, `del`, chained and augmented assignment to names, attributes, items and slices.
- `try` with `except`, `except*`, `else` and `finally`, exception groups, notes and causes.
- `_private` and `__mangled` names of your own objects, classes and modules; `__name__`, `__doc__`, `__file__`, `__all__`, the main guard.
- Several modules, packages, relative and circular imports, `import *`.
- `print` with all its arguments, `logging` and `warnings`: each line is a line of the worker's log.
- `open`, `pathlib.Path` and `os.path` over the files that were uploaded with the worker, by their names below `/`; `Path(__file__).parent / "data.json"` is the file beside a module. Nothing can be written.
- What needs threads, with the one there is: locks, events and queues; a `ThreadPoolExecutor` runs what it is given at once.

`__name__` of the main module is its module name, so a main guard does not run.
"""

_RULES = """\
## Whose object it is

An object is *your own* if a class statement of your worker made its class; so are your functions, classes and modules.

- Private names (`_x`) can be read and written on your own objects only. Documented exceptions: {exceptions}.
- Attributes can be set on your own objects, on exceptions, and on data of the library: {writable}.
- Items of every container can be set.
- `type(x)` takes one object. `types.FunctionType` and the like answer `isinstance` and comparison, and cannot be called.
- A class can extend your own classes and those listed below. A metaclass can only be `ABCMeta` or `EnumType`.
- `getattr`, `setattr`, `vars`, `dir`, `operator.attrgetter`, `str.format` and `string.Formatter` follow the same rules as written attributes.
- Annotations that are text are compiled by the same rules when `typing.get_type_hints` evaluates them, in your own module. It tells nothing of what you did not write.
- A method of the library that is written in Python runs on objects of its own class only: `collections.UserList.copy(x)` needs a `UserList`.
- `__new__` and `__subclasshook__` are defined with `def`. What `__new__` returns is your own object or plain data, what `__getattribute__` gives for `__class__` a class.
- A field of a dataclass cannot be called as a guarded name (below) of a class of the library that is extended with it.
- A class pattern with positional parts cannot stand in a class body.
- `copy.copy` and `copy.deepcopy` copy your own objects and data of the library, and refuse the rest.
- `asyncio.Future()` and `asyncio.Task()` belong to the one event loop; an object of yours is not a future, but can be awaited.
- `globals()` is a copy of the module's variables.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([*_parts()]).rstrip("\n") + "\n"


def _parts() -> Iterator[str]:
    yield _INTRODUCTION
    exceptions = _codes(names.NAMEDTUPLE_NAMES | names.ENUM_NAMES)
    writable = _codes(f"{_home(kind)}.{kind.__qualname__}" for kind in _library(WRITABLE))
    yield _RULES.format(exceptions=exceptions, writable=writable)
    yield from _classes()
    yield from _refusals()
    yield from _builtins()
    yield from _bounds()
    yield from _library_table()


def _home(kind: type) -> str:
    """The module that a worker finds a class in."""
    return kind.__module__.replace(etree.NAME, "xml.etree.ElementTree")


def _library(kinds: Iterable[type]) -> list[type]:
    """Types under the names that a worker knows them by."""
    public = [kind for kind in kinds if not kind.__module__.startswith("executor.")]
    return [kind for kind in public if not kind.__qualname__.startswith("_")]


def _classes() -> Iterator[str]:
    yield "## Dunder methods that a class may define\n"
    yield _codes(names.DEFINABLE_DUNDERS) + ".\n"
    yield "`__match_args__` may be bound to a tuple of public attribute names.\n"
    yield "## Library classes that can be extended\n"
    bases = [kind for kind in building.subclassable if isinstance(kind, type)]
    listed = {f"{kind.__module__.lstrip('_')}.{kind.__qualname__}" for kind in _library(bases)}
    extra = {"logging's classes", "string.Formatter", "the classes of `workers`"}
    plain = {name.removeprefix("builtins.") for name in listed}
    yield f"{_codes(plain)}; {', '.join(sorted(extra))}.\n"


def _refusals() -> Iterator[str]:
    yield "## Attributes that are refused on every object\n"
    yield "| attribute | why |\n| --- | --- |"
    for name, reason in sorted(names.FORBIDDEN_DUNDERS.items()):
        yield f"| `{name}` | {reason} |"
    frames = _codes(names.INTERPRETER_ATTRIBUTES)
    yield f"| {frames} | they lead to frames, code objects or the class tree |"
    yield f"| {_codes(names.METACLASS_ATTRIBUTES)} | they belong to the metaclass |\n"
    yield "These depend on the object:\n"
    yield "| attribute | why it is looked at |\n| --- | --- |"
    for name, reason in names.GUARDED_PUBLIC.items():
        yield f"| `{name}` | {reason} |"
    yield ""


def _builtins() -> Iterator[str]:
    yield "## Builtins\n"
    there = [n for n in base_builtins() if n.isidentifier() and not n.startswith("_")]
    yield f"There are {_codes(there)}.\n"
    yield "| refused | what to use instead |\n| --- | --- |"
    for name, reason in names.REFUSED_NAMES.items():
        yield f"| `{name}` | {reason} |"
    yield "| `open` for writing | `io` has files in memory, bindings store data |"
    yield "| `input` | the input of a worker is its request |"
    yield f"| rebinding {_codes(names.RESERVED_NAMES)} | use another name |\n"


def _bounds() -> Iterator[str]:
    yield "## Bounds of the source\n"
    yield "| what | bound |\n| --- | --- |"
    yield f"| modules | {bounds.MAX_MODULES:,} |"
    yield f"| bytes of one module | {bounds.MAX_MODULE_BYTES:,} |"
    yield f"| bytes of all modules | {bounds.MAX_TOTAL_BYTES:,} |"
    yield f"| characters of a line | {bounds.MAX_LINE_CHARS:,} |"
    yield f"| tokens of all modules | {bounds.MAX_TOKENS:,} |"
    yield f"| syntax nodes of all modules | {bounds.MAX_NODES:,} |"
    yield f"| levels of nesting | {bounds.MAX_DEPTH:,} |"
    yield f"| bytes that `zlib`, `gzip`, `bz2` and `lzma` unpack at once | {MAX_OUTPUT_BYTES:,} |\n"
    yield (
        "Sources are UTF-8. A module's name is its path below the main module's directory or below "
        f"`{VENDORED}/`; it cannot be that of a library module or of the platform.\n"
    )


def _library_table() -> Iterator[str]:
    yield "## The library\n"
    yield f"The platform gives {_codes(PLATFORM_MODULES)}. The standard library has:\n"
    yield "| module | names |\n| --- | --- |"
    for name, entry in sorted(MODULES.items()):
        yield f"| `{name}` | {_codes(entry.listed()) or 'its submodules'} |"
    yield "\nLeft out of them, with the reason:\n"
    yield "| name | why |\n| --- | --- |"
    for module, entry in sorted(MODULES.items()):
        for name, reason in sorted(entry.left_out.items()):
            yield f"| `{module}.{name}` | {reason} |"
    yield "\nAn import of anything else is a warning at upload and raises `ModuleNotFoundError` when it runs.\n"
    yield "| module | what to use instead |\n| --- | --- |"
    for name, hint in sorted(HINTS.items()):
        yield f"| `{name}` | {hint} |"


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words, key=str.lower))


if __name__ == "__main__":
    sys.stdout.write(page())
