"""``collections.OrderedDict`` over the order that a ``dict`` keeps by itself.

The one in C keeps a list of its own beside the dictionary, and goes along it while it calls keys
and subclasses of the worker's, which can free it. A ``dict`` is made for that.
"""

import operator
import pprint
import sys
from collections.abc import MutableMapping
from reprlib import recursive_repr
from typing import Any

_SPARE_GAPS = 1_000
_set_items: Any = MutableMapping.update


class OrderedDict(dict[Any, Any]):
    """A dictionary with an order that can be changed, and that counts when two are compared."""

    __slots__ = ("__dict__", "__taken", "__weakref__")

    def __init__(self, other: Any = (), /, **named: Any) -> None:
        _update(self, other, named)

    def update(self, other: Any = (), /, **named: Any) -> None:
        """Set the items of a mapping or of pairs, one after the other."""
        _update(self, other, named)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of a key, which becomes the default if there is none."""
        if type(self) is OrderedDict:
            return dict.setdefault(self, key, default)
        if key not in self:
            self[key] = default
            return default
        return self[key]

    def move_to_end(self, key: Any, last: bool = True) -> None:
        """Make an item the last one; or the first one, which takes time for each item."""
        value = dict.pop(self, key)
        if last:
            dict.__setitem__(self, key, value)
        else:
            _close_gaps(self, {key: value})

    def popitem(self, last: bool = True) -> tuple[Any, Any]:
        """Take out the last item, or the first one."""
        if not dict.__len__(self):
            raise KeyError("dictionary is empty")
        if last:
            return dict.popitem(self)
        key = next(dict.__iter__(self))
        value = dict.pop(self, key)
        self.__taken = getattr(self, "_OrderedDict__taken", 0) + 1
        if self.__taken**2 > dict.__len__(self) + _SPARE_GAPS:  # each gap is passed to the first
            self.__taken = 0
            _close_gaps(self, {})
        return key, value

    def copy(self) -> Any:
        """One of the same class with the same items."""
        made = type(self)()
        _update(made, self, {})
        return made

    @recursive_repr()
    def __repr__(self) -> str:
        name = type(self).__name__
        if not self:
            return f"{name}()"
        kind: Any = dict if sys.version_info >= (3, 12) else list
        return f"{name}({kind(self.items())!r})"

    def __eq__(self, other: object) -> Any:
        same = dict.__eq__(self, other)
        if same is True and isinstance(other, OrderedDict):
            return all(map(operator.eq, self, other))
        return same

    def __ne__(self, other: object) -> Any:
        same = self.__eq__(other)
        return same if same is NotImplemented else not same

    def __or__(self, other: Any) -> Any:
        return _joined(self, self, other)

    def __ror__(self, other: Any) -> Any:
        return _joined(self, other, self)

    def __ior__(self, other: Any) -> Any:
        _update(self, other, {})
        return self


OrderedDict.__module__ = "collections"
_printing = vars(pprint.PrettyPrinter)
_printing["_dispatch"][OrderedDict.__repr__] = _printing["_pprint_ordered_dict"]

_PLAIN = (dict, OrderedDict, list, tuple)


def _update(mine: Any, other: Any, named: dict[str, Any]) -> None:
    """Each item is set by the method of a subclass, if it has one."""
    if type(mine).__setitem__ is dict.__setitem__ and type(other) in _PLAIN:
        dict.update(mine, other, **named)
    else:
        _set_items(mine, other, **named)


def _joined(mine: OrderedDict, first: Any, second: Any) -> Any:
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return NotImplemented
    made: Any = type(mine)(first)
    _update(made, second, {})
    return made


def _close_gaps(mine: OrderedDict, before: dict[Any, Any]) -> None:
    """Lay the items out anew, after these: a dictionary keeps the places of those taken out."""
    kept = dict.copy(mine)
    dict.clear(mine)
    dict.update(mine, before)
    dict.update(mine, kept)
