"""``xml.etree.ElementTree`` in Python, as workers have it.

The library's elements in C call code of the worker while they hold what that code can free: a tag
that compares itself, an iterator that is assigned to a slice. Those in Python cannot be freed so.
"""

import importlib.util
import sys
import types
from typing import Any
from xml.etree import ElementTree  # noqa: ICN001 - ET is the one in Python

_C = "_elementtree"
NAME = "xml.etree.ElementTreeInPython"


def _load() -> types.ModuleType:
    """The library's module once more, without its part in C but for the error of the parser."""
    spec = importlib.util.spec_from_file_location(NAME, ElementTree.__file__)
    if spec is None or spec.loader is None:
        raise ImportError("there is no xml.etree.ElementTree")
    module = importlib.util.module_from_spec(spec)
    in_c = sys.modules.get(_C)
    hidden: Any = None  # an import of it fails
    sys.modules[NAME], sys.modules[_C] = module, hidden
    try:
        spec.loader.exec_module(module)
    finally:
        if in_c is None:
            del sys.modules[_C]
        else:
            sys.modules[_C] = in_c
    vars(module)["ParseError"] = ElementTree.ParseError
    if module.Element is not vars(module)["_Element_Py"]:
        raise ImportError("the elements of xml.etree.ElementTree are those in C")
    return module


ET: Any = _load()
