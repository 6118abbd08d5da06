"""C code of the library that calls the worker's, which takes away what that C code works on.

Each of the attempts ended CPython with SIGSEGV, or can in a release that is still in use.
"""

import pytest
from policy_cell import Cell

ORDERED = {
    "keys that are compared": """
class Key:
    def __init__(self, number): self.number = number
    def __hash__(self): return self.number
    def __eq__(self, other):
        compared.append(1)
        if len(compared) > 20: take_away(mine, other_one)
        return self.number == other.number
compared = []
mine, other_one = (OrderedDict((Key(n), n) for n in range(20)) for _ in range(2))
mine == other_one
""",
    "values that are compared": """
class Value:
    def __eq__(self, other): take_away(mine, other_one); return True
mine, other_one = (OrderedDict((n, Value()) for n in range(20)) for _ in range(2))
mine == other_one
""",
    "a key that is moved": """
class Key:
    def __hash__(self):
        if armed: armed.pop(); take_away(mine)
        return 1
    def __eq__(self, other):
        if armed: armed.pop(); take_away(mine)
        return self is other
armed = []
mine = OrderedDict((Key(), n) for n in range(3))
for last in (True, False):
    for key in list(mine):
        armed.append(1)
        mine.move_to_end(key, last=last)
""",
    "a key that is taken out": """
class Key:
    def __hash__(self):
        if armed: armed.pop(); take_away(mine)
        return 1
    def __eq__(self, other): return self is other
armed = []
mine = OrderedDict((Key(), n) for n in range(3))
armed.append(1)
mine.popitem(last=False)
""",
    "copies of what gives items": """
class Mine(OrderedDict):
    def __getitem__(self, key): take_away(self); return 1
mine = Mine((n, n) for n in range(20))
mine.copy(), mine | {1: 2}
""",
    "copies of what takes items": """
class Mine(OrderedDict):
    def __setitem__(self, key, value):
        if armed: take_away(mine)
        super().__setitem__(key, value)
armed = []
mine = Mine((n, n) for n in range(20))
armed.append(1)
mine.copy()
""",
    "values that end": """
class Value:
    def __del__(self): take_away(mine); mine[1] = 2
mine = OrderedDict((n, Value()) for n in range(20))
for n in range(20): mine[n] = Value(); mine.move_to_end(n, last=False)
mine.clear()
""",
    "items set as those of a dict": """
mine = OrderedDict((n, n) for n in range(20))
dict.clear(mine)
for n in range(2_000): dict.__setitem__(mine, n, n)
for _ in range(1_000): mine.popitem(last=False); mine.popitem()
""",
}


@pytest.mark.parametrize("attempt", ORDERED.values(), ids=ORDERED.keys())
def test_code_amid_an_ordered_dicts_frees_nothing_that_is_in_use(cell: Cell, attempt: str) -> None:
    """Keys, values and subclasses empty the dictionary that is worked on. It stays one."""
    source = f"""
from collections import OrderedDict
kept = []
def take_away(*dictionaries):
    for each in dictionaries: OrderedDict.clear(each)
    kept.extend(bytearray(40) for _ in range(100))
try:
{"".join(f"    {line}" + chr(10) for line in attempt.strip().splitlines())}
except (KeyError, RuntimeError): pass
print(sum(map(sum, kept)), list(mine) == [*reversed(mine)][::-1])
"""
    cell.prints(source, "0 True")


USE = """
import copy, inspect, json, typing, weakref
from collections import Counter, OrderedDict
mine = OrderedDict(a=1, b=2)
mine["c"] = 3
mine.move_to_end("a"); print(list(mine), list(reversed(mine)))
mine.move_to_end("a", last=False); print(mine, mine.popitem(), mine.popitem(last=False), mine)
print(mine | {"z": 1}, {"z": 1} | mine, type({} | mine).__name__)
mine |= [("q", 5)]; mine.update({"r": 6}, s=7)
print(mine, mine.setdefault("q"), mine.setdefault("n", 1))
ab, ba = OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)
print(ab == ba, ab != ba, ab == dict(ba), ab != dict(ba), ab == ab.copy(), ab == 1, ab != 1)
print(OrderedDict.fromkeys("ab", 0), OrderedDict(), OrderedDict([("a", 1)], b=2), OrderedDict(ab))
for wrong in (lambda: mine.move_to_end("?"), OrderedDict().popitem, lambda: mine.pop("?")):
    try: wrong()
    except KeyError as error: print(repr(error))
try: hash(mine)
except TypeError: print("unhashable")
class Last(OrderedDict):
    def __setitem__(self, key, value): super().__setitem__(key, value); self.move_to_end(key)
last = Last([("a", 1), ("b", 2)]); last.update(a=3); last.note = "x"
print(last, last.copy(), copy.deepcopy(last), copy.copy(last).note, last | {"b": 1})
class Counts(Counter, OrderedDict): pass
print(list(Counts("abba").items()), isinstance(Counts(), OrderedDict))
print(json.dumps(ab), json.loads('{"a": {"b": 1}}', object_pairs_hook=OrderedDict))
mine["me"] = mine; print(mine); print(weakref.ref(mine)() is mine, ab.__class__ is OrderedDict)
print(typing.OrderedDict[str, int], isinstance(ab, typing.OrderedDict), OrderedDict)
match ab:
    case OrderedDict(): print("matched")
waiting = OrderedDict((n, n) for n in range(5_000))
print(all(waiting.popitem(last=False) == (n, n) for n in range(5_000)), waiting)
"""


def test_ordered_dictionaries(cell: Cell) -> None:
    """What a worker sees of them is what plain CPython shows, in all its uses."""
    cell.prints(USE, *cell.run_plain(USE))


def test_every_ordered_dictionary_is_that_one(cell: Cell) -> None:
    """Neither annotations nor signatures lead to the one in C, and methods take no other object."""
    source = """
import inspect, typing
from collections import OrderedDict
class Mine(typing.OrderedDict[str, int]): pass
def function(a): pass
made = [inspect.signature(function).parameters.copy(), typing.OrderedDict(), Mine(), {} | Mine()]
print([isinstance(each, OrderedDict) for each in made], type(made[1]) is OrderedDict)
print(typing.get_origin(typing.OrderedDict[int, int]) is OrderedDict)
"""
    cell.prints(source, "[True, True, True, True] True", "True")
    cell.refuses("import collections\ncollections.OrderedDict.update({}, a=1)", "requires")


def test_dictionaries_of_the_library_are_printed_prettily(cell: Cell) -> None:
    """``pprint`` knows them, on a line for each item."""
    source = """
import pprint
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList
long = {str(n) * 30: n for n in range(4)}
for value in (OrderedDict(long), Counter(long), ChainMap(long), UserDict(long), UserList(long)):
    print(pprint.pformat(value))
"""
    assert "\n".join(cell.run(source).log).splitlines() == cell.run_plain(source)
