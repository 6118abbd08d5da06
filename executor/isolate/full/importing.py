"""The ordinary import machinery over an :class:`Image`: a finder and its loaders."""

import _imp
import marshal
import types
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import InspectLoader, MetaPathFinder, PathEntryFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import MetadataPathFinder
from importlib.readers import FileReader

from executor.isolate.full.image import Image, Stored

Adjust = Callable[[types.ModuleType], None]

adjustments: dict[str, Adjust] = {}
"""What is done to a module once it was executed, by name: see ``inline.py``."""


class Loader(InspectLoader):
    """Loads one module of an image."""

    def __init__(self, image: Image, name: str) -> None:
        self._image = image
        self.name = name
        self.path = self._stored.file

    @property
    def _stored(self) -> Stored:
        return self._image.modules[self.name]

    def create_module(self, spec: ModuleSpec) -> None:
        """An ordinary module will do."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Execute it, then adjust it."""
        code = self.get_code(self.name)
        if code is not None:
            exec(code, vars(module))  # noqa: S102 - this is what importing is
        adjust(module)

    def get_code(self, _name: str) -> types.CodeType | None:
        """Its code, which says that it comes from the module's file."""
        stored = self._stored
        if stored.code is None:
            return None
        code: types.CodeType = marshal.loads(stored.code)  # noqa: S302 - made by us
        rename(code, stored.file)
        return code

    def get_source(self, _name: str) -> None:
        """No source is kept beside the code."""

    def is_package(self, _name: str) -> bool:
        """Whether it can have submodules."""
        return self._stored.is_package

    def get_filename(self, _name: str) -> str:
        """Where it seems to be."""
        return self.path

    def get_data(self, path: str) -> bytes:
        """A file beside it. Raises ``OSError`` if there is none."""
        if path not in self._image.files:
            raise FileNotFoundError(path)
        return self._image.files[path]

    def get_resource_reader(self, _name: str) -> FileReader:
        """For ``importlib.resources``, which then looks at (what seem to be) files."""
        return FileReader(self)  # type: ignore[arg-type]  # it wants nothing but our path


class Finder(MetaPathFinder):
    """Finds the modules of an image."""

    find_distributions = staticmethod(MetadataPathFinder.find_distributions)

    def __init__(self, image: Image) -> None:
        self._image = image

    def find_spec(
        self,
        fullname: str,
        _path: Sequence[str] | None = None,
        _target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Where a module is; None if it is not of this image."""
        stored = self._image.modules.get(fullname)
        if stored is None:
            return None
        spec = ModuleSpec(fullname, Loader(self._image, fullname), is_package=stored.is_package)
        if stored.code is not None:
            spec.origin = stored.file
            spec.has_location = True
        if stored.is_package:
            spec.submodule_search_locations = [_directory(stored)]
        return spec

    def listing(self, path: str) -> "Listing":
        """What is in a directory, for ``pkgutil``: a hook of ``sys.path_hooks``.

        Raises:
            ImportError: nothing of this image is.
        """
        found = {
            name.rpartition(".")[2]: stored.is_package
            for name, stored in self._image.modules.items()
            if _directory(stored).rpartition("/")[0] == path
        }
        if not found:
            raise ImportError(f"there are no modules in {path}")
        return Listing(found)


class Listing(PathEntryFinder):
    """The modules of one directory."""

    def __init__(self, found: dict[str, bool]) -> None:
        self._found = found

    def find_spec(self, _fullname: str, _target: types.ModuleType | None = None) -> None:
        """Nothing is found by directory: the finder knows every module by its name."""

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Each name, and whether it is a package."""
        for name, is_package in sorted(self._found.items()):
            yield prefix + name, is_package


def _directory(stored: Stored) -> str:
    """A package's own directory, or a module's path, which has the same parent."""
    return stored.file.removesuffix("/__init__.py")


def rename(code: types.CodeType, file: str) -> None:
    """Let code, and what is in it, come from that file."""
    _imp._fix_co_filename(code, file)  # type: ignore[attr-defined]  # the import system's own


def adjust(module: types.ModuleType) -> None:
    """What has to be different of a module where there are no threads."""
    change = adjustments.get(module.__name__)
    if change is not None:
        change(module)


def settle(finder: Finder, name: str, module: types.ModuleType) -> None:
    """Let a module that was loaded from the host's files seem to come from the image."""
    spec = finder.find_spec(name)
    names = vars(module)
    for each in ("__file__", "__cached__"):
        names.pop(each, None)
    names["__spec__"] = spec or ModuleSpec(name, None)
    names["__loader__"] = spec.loader if spec else None
    if spec and spec.origin:
        names["__file__"] = spec.origin
    if "__path__" in names:
        names["__path__"] = list((spec and spec.submodule_search_locations) or ())
