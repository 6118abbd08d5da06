"""A worker's modules at run time: loading, importing, and what they find around them."""

import marshal
import sys
import types
from collections.abc import Mapping
from typing import Any

from executor.isolate.policy import building, guards, handlers, ownership
from executor.isolate.policy.builtin_names import base_builtins
from executor.isolate.policy.facades import HINTS, library, make_facade
from executor.isolate.policy.facades.files import set_files
from executor.isolate.policy.facades.system import set_modules
from executor.isolate.policy.hardening import harden
from executor.isolate.policy.names import definition_refusal
from executor.isolate.policy.receivers import guard
from executor.isolate.policy.sources import module_of
from executor.isolate.policy.transformer import hidden

SPARE_BUILTINS = 4
"""Copies of the builtins made beforehand: a copy touches everything in it, and with that many pages
that isolates share until then."""


_ORDINARY_NAMES = ("__main__", "__about__")


class ModuleSpace:
    """The modules of one worker version, executed when first imported.

    ``modules`` are those of a compile result, ``facades`` the platform's modules by dotted name.
    ``data`` holds the other uploaded files. One space a process: an isolate belongs to one worker.
    """

    def __init__(
        self,
        modules: dict[str, bytes],
        data: dict[str, bytes] | None = None,
        facades: Mapping[str, Any] | None = None,
    ) -> None:
        harden()
        given = _as_facades(facades or {})
        self._given: dict[str, Any] = {**library(), **given}
        self._loaded: dict[str, types.ModuleType] = {}
        self.supply(modules, data or {})
        self._builtins = base_builtins()
        self._spare = [dict(self._builtins) for _ in range(SPARE_BUILTINS)]
        for facade in given.values():
            _allow_extension(facade)
        set_modules(self._seen, self.import_name)

    def supply(self, modules: dict[str, bytes], data: dict[str, bytes]) -> None:
        """Set what the space is made of, before anything is imported: all else can be made ready
        when the worker is not known yet."""
        set_files(data)
        self._code = modules
        self._parents = {
            ".".join(parts[:i])
            for parts in (n.split(".") for n in modules)
            for i in range(1, len(parts))
        }

    def run_main(self, main: str) -> dict[str, Any]:
        """Execute the main module; its namespace.

        ``main`` is the uploaded file's name or the module's dotted name. Whatever the module's
        code raises passes through.
        """
        name = main if main in self._code else _module_name(main)
        return vars(self._load(name))

    def forget(self) -> None:
        """Drop what was loaded, as if it had never been. For a rehearsal: of a worker's own code,
        references would be left."""
        for name, module in self._loaded.items():
            del sys.modules[name]
            ownership.dismiss_module(module)
            self._spare.append(vars(module)["__builtins__"])
        self._loaded.clear()

    def import_name(self, name: str) -> Any:
        """The module of this dotted name, executed if it is not yet.

        Raises:
            ModuleNotFoundError: neither the worker nor the platform has it.
        """
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            module = self._one(".".join(parts[:end]))
        return module

    def _one(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        if name in self._code or name in self._parents:
            module = self._load(name)
            parent, _, last = name.rpartition(".")
            if parent in self._loaded:
                setattr(self._loaded[parent], last, module)
            return module
        hint = HINTS.get(name) or HINTS.get(name.partition(".")[0])
        raise ModuleNotFoundError(
            f"No module named {name!r}" + (f" for workers: {hint}" if hint else ""), name=name
        )

    def _load(self, name: str) -> types.ModuleType:
        if name in self._loaded:
            return self._loaded[name]
        if name not in self._code and name not in self._parents:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        file, is_package, code = f"{name.replace('.', '/')}/", True, None
        if name in self._code:
            file, is_package, code = marshal.loads(self._code[name])  # noqa: S302 - compiled by us
        module = self._new_module(name, file, is_package=is_package)
        if code is not None:
            try:
                exec(code, vars(module))  # noqa: S102 - this is what an isolate is for
            except BaseException:
                del self._loaded[name], sys.modules[name]
                raise
        return module

    def _new_module(self, name: str, file: str, *, is_package: bool) -> types.ModuleType:
        if name in sys.modules and not ownership.is_own_module(sys.modules[name]):
            raise ImportError(f"the module name {name!r} is taken by the platform")
        last = name.rpartition(".")[2]  # it becomes an attribute of its package
        if definition_refusal(last, in_class=False) and last not in _ORDINARY_NAMES:
            raise ImportError(f"the module name {name!r} belongs to the interpreter")
        module = types.ModuleType(name)
        package = name if is_package else name.rpartition(".")[0]
        vars(module).update(__file__=file, __package__=package, __builtins__={})
        if is_package:
            vars(module)["__path__"] = []
        builtins = self._spare.pop() if self._spare else dict(self._builtins)
        vars(module)["__builtins__"] = builtins
        builtins.update(_Importer(self, module, package).names())
        ownership.adopt_module(module, file)
        self._loaded[name] = module
        sys.modules[name] = module  # dataclasses and typing look a class's module up there
        return module

    def _seen(self) -> dict[str, Any]:
        return {**library(), **self._loaded}


def _module_name(main: str) -> str:
    module = module_of(main, main)
    if module is None:
        raise ModuleNotFoundError(f"No module named {main!r}")
    return module.name


def _as_facades(modules: Mapping[str, Any]) -> dict[str, Any]:
    """The platform's modules as facades of what their ``__all__`` lists, submodules included."""
    made: dict[int, Any] = {}

    def facade(name: str, module: Any) -> Any:
        if not isinstance(module, types.ModuleType):
            return module
        if id(module) not in made:
            listed = {n: facade(f"{name}.{n}", getattr(module, n)) for n in module.__all__}
            contents = {**listed, "__doc__": module.__doc__, "__all__": list(listed)}
            made[id(module)] = make_facade(name, contents, {})
        return made[id(module)]

    return {name: facade(name, module) for name, module in modules.items()}


def _allow_extension(facade: Any) -> None:
    """Let workers extend the classes that the platform's modules offer, once they are guarded."""
    guard(vars(facade).values())
    for name, value in vars(facade).items():
        if isinstance(value, type) and not name.startswith("_"):
            building.subclassable.add(value)


class _Importer:
    """The import statements of one module."""

    def __init__(self, space: ModuleSpace, module: types.ModuleType, package: str) -> None:
        self._space = space
        self._namespace = vars(module)
        self._package = package

    def names(self) -> dict[str, Any]:
        """The builtins that depend on the module."""
        return {
            "__import__": self.for_interpreter,
            "globals": self.globals,
            hidden.IMPORT: self.top,
            hidden.IMPORT_LEAF: self._space.import_name,
            hidden.IMPORT_FROM: self.names_from,
            hidden.IMPORT_ALL: self.all_from,
        }

    def top(self, name: str) -> Any:
        """``import a.b`` binds ``a``."""
        self._space.import_name(name)
        return self._space.import_name(name.partition(".")[0])

    def names_from(self, name: str, level: int, names: tuple[str, ...]) -> tuple[Any, ...]:
        """``from name import names``."""
        source = self._absolute(name, level)
        module = self._space.import_name(source)
        return tuple(self._name_from(module, source, wanted) for wanted in names)

    def _name_from(self, module: Any, source: str, wanted: str) -> Any:
        try:
            return guards.read(module, wanted)
        except AttributeError as error:
            reason = str(error)
        try:
            return self._space.import_name(f"{source}.{wanted}")
        except ModuleNotFoundError as error:
            if error.name != f"{source}.{wanted}":
                raise
        raise ImportError(f"cannot import name {wanted!r} from {source!r} ({reason})", name=source)

    def all_from(self, name: str, level: int) -> None:
        """``from name import *``."""
        module = self._space.import_name(self._absolute(name, level))
        listed = getattr(module, "__all__", None)
        if listed is None:
            listed = [n for n in vars(module) if isinstance(n, str) and not n.startswith("_")]
        for wanted in listed:
            if type(wanted) is not str or not wanted.isidentifier():
                raise ImportError(f"{wanted!r} is not a name that can be imported")
            if definition_refusal(wanted, in_class=False):
                continue
            self._namespace[wanted] = guards.read(module, wanted)

    def _absolute(self, name: str, level: int) -> str:
        if not level:
            return name
        parts = self._package.split(".") if self._package else []
        if level > len(parts):
            raise ImportError("attempted relative import beyond top-level package")
        base = ".".join(parts[: len(parts) - level + 1])
        return f"{base}.{name}" if name else base

    def globals(self) -> dict[str, Any]:
        """A copy of the module's variables."""
        return handlers.without_internals(self._namespace)

    def for_interpreter(
        self, name: str, _globals: Any = None, _locals: Any = None, names: Any = (), _level: int = 0
    ) -> Any:
        """What the interpreter itself imports in this module.

        ``from __future__ import`` gets its facade. C code that needs a module of the library (for
        ``datetime.strptime``) passes a list; it takes the module from ``sys.modules`` afterwards
        and drops what this returns.
        """
        if name == "__future__":
            return self._space.import_name(name)
        if type(names) is list and name in sys.modules:
            return None
        raise ImportError("use the import statement, or importlib.import_module()", name=name)
