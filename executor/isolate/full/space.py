"""A worker's modules and files at run time, found by the ordinary import machinery."""

import importlib
import marshal
import os
import random
import sys
import types
from collections.abc import Mapping
from typing import Any

from executor.isolate.full import absent, files, output
from executor.isolate.full.compiler import place
from executor.isolate.full.image import WORKER, Image, Stored
from executor.isolate.full.importing import Finder
from executor.isolate.policy.sources import module_of

TREE = files.Tree()
"""The packages' files are added in the zygote, the worker's when it is loaded."""

changes: list[absent.Change] = []
"""What :func:`absent.apply` is to set; made in the zygote."""


class ModuleSpace:
    """The modules of one worker version. One a process: an isolate belongs to one worker."""

    def __init__(self, given: Mapping[str, types.ModuleType]) -> None:
        self._given = given
        self._image = Image()
        self._data: dict[str, bytes] = {}

    def supply(self, modules: dict[str, bytes], data: dict[str, bytes]) -> None:
        """Set what the space is made of, and take from this process what a cell has not."""
        for name, packed in modules.items():
            file, is_package, code = marshal.loads(packed)  # noqa: S302 - compiled by us
            self._image.modules[name] = Stored(file, is_package, code)
        self._add_parents()
        self._data = data
        random.seed()  # a forked isolate must not share its zygote's sequence
        self._make_way()
        sys.modules.update(self._given)
        finder = Finder(self._image)
        sys.meta_path.insert(0, finder)
        sys.path_hooks.insert(0, finder.listing)
        files.install(TREE)
        output.install()
        absent.apply(changes)

    def run_main(self, main: str) -> dict[str, Any]:
        """Import the main module; its namespace. Whatever its code raises passes through."""
        module = module_of(main, main)
        if module is None:
            raise ModuleNotFoundError(f"No module named {main!r}")
        for file, content in self._data.items():
            TREE.add(place(file, main), content)
            self._image.files[place(file, main)] = content
        return vars(importlib.import_module(module.name))

    def _add_parents(self) -> None:
        """A directory of modules without ``__init__.py`` is a package, too."""
        for name, stored in list(self._image.modules.items()):
            directory = stored.file.removesuffix("/__init__.py")
            while (name := name.rpartition(".")[0]) and directory != WORKER:
                directory = directory.rpartition("/")[0]
                self._image.modules.setdefault(name, Stored(directory, True, None))

    def _make_way(self) -> None:
        """The worker's own modules come before installed ones of the same name."""
        tops = {name.partition(".")[0] for name in self._image.modules}
        for name in [each for each in sys.modules if each.partition(".")[0] in tops]:
            del sys.modules[name]


def set_environ(variables: Mapping[str, str]) -> None:
    """Make the worker's plain variables the environment."""
    for name in set(os.environ) - {"TZ"}:
        del os.environ[name]
    os.environ.update(_possible(variables))


def _possible(variables: Mapping[str, str]) -> dict[str, str]:
    """Those that the C library can hold."""
    return {
        name: value
        for name, value in variables.items()
        if name and "=" not in name and "\0" not in name + value
    }
