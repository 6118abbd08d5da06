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


CALLED_BACK = {
    "a sum so far": """
class Number:
    def __add__(self, other):
        if armed: armed.pop(); next(sums); return NotImplemented
        return 1
class Other:
    def __radd__(self, other): kept.append(type(other).__name__); return 1
def numbers():
    yield Number()
    for _ in range(3): yield Other()
sums = itertools.accumulate(numbers())
next(sums)
armed.append(1)
try: next(sums)
except ValueError: print("refused")
""",
    "a count": """
class Number:
    def __float__(self): return 1.0
    def __add__(self, other):
        if armed: armed.pop(); kept.append(next(counting))
        return Number()
counting = itertools.count(Number(), 1.5)
next(counting)
armed.append(1)
try: next(counting)
except ValueError: print("refused")
""",
    "a count that was made of another": """
class Number(int):
    def __add__(self, other): kept.append(next(counting)); return 1
counting = type(itertools.count())(Number())
next(counting)
try: next(counting)
except ValueError: print("refused")
""",
    "what is counted": """
class Number:
    def __add__(self, other): counts.clear(); return NotImplemented
counts = collections.Counter()
counts["a"] = Number()
try: counts.update(["a"])
except TypeError: print("refused")
""",
    "a line": """
class Lines:
    def __iter__(self): return self
    def __next__(self): return next(reader)
reader = csv.reader(Lines())
try: next(reader)
except ValueError: print("refused")
""",
    "a line of a dictionary": """
class Lines:
    def __iter__(self): return self
    def __next__(self):
        armed.append(1)
        return "a,b" if len(armed) == 1 else next(reader)
reader = csv.DictReader(Lines())
try: next(reader)
except ValueError: print("refused")
""",
    "a cache of time zones": """
class Key(str):
    __hash__ = str.__hash__
    def __eq__(self, other): zoneinfo.ZoneInfo.clear_cache(); return str.__eq__(self, other)
for name in ("UTC", "Europe/Paris", "Asia/Tokyo") * 3:
    zoneinfo.ZoneInfo(Key(name)), type(zoneinfo.ZoneInfo("UTC"))(Key(name))
print("refused")
""",
}


@pytest.mark.parametrize("attempt", CALLED_BACK.values(), ids=CALLED_BACK.keys())
def test_what_calls_the_worker_is_not_called_back(cell: Cell, attempt: str) -> None:
    """Operators, iterators and keys of the worker's own use what is amid a call of them."""
    cell.prints(
        f"import collections, csv, itertools, zoneinfo\nkept, armed = [], []\n{attempt}", "refused"
    )


def test_iterators_counters_readers_and_zones(cell: Cell) -> None:
    """In ordinary use they are what plain CPython has."""
    source = """
import collections, csv, datetime, fractions, io, itertools, operator, statistics, zoneinfo
print(list(itertools.accumulate([1, 2, 3])), list(itertools.accumulate([])))
print(list(itertools.accumulate([2, 3, 4], operator.mul, initial=5)))
print(list(itertools.accumulate("ab")), list(itertools.accumulate([None])))
print(list(itertools.islice(itertools.count(3, 2), 3)), next(itertools.count()))
print(list(itertools.islice(itertools.count(fractions.Fraction(1, 2)), 2)))
print(list(itertools.islice(itertools.count(0.5, step=0.5), 2)), itertools.count(7))
print(collections.Counter("abca"), collections.Counter(["x", "y", "x"]), statistics.mode([1, 2, 2]))
counts = collections.Counter(a=1)
counts.update("aab")
counts.subtract(["b"])
print(counts, collections.Counter({"a": 2}), collections.Counter(iter("aa")))
print(list(csv.reader(['a,"b', 'c"', "d;e"])), list(csv.reader(io.StringIO("a;b"), delimiter=";")))
reader = csv.DictReader(io.StringIO("a,b\\n1,2\\n"))
print(list(reader), reader.fieldnames, reader.line_num)
paris = zoneinfo.ZoneInfo("Europe/Paris")
print(paris, paris.key, repr(paris), paris is zoneinfo.ZoneInfo("Europe/Paris"))
print(datetime.datetime(2024, 7, 1, tzinfo=paris).isoformat(), isinstance(paris, zoneinfo.ZoneInfo))
print(zoneinfo.ZoneInfo.no_cache("UTC") is zoneinfo.ZoneInfo("UTC"))
empty = b"TZif" + bytes(16) + (0).to_bytes(4) * 4 + (1).to_bytes(4) * 2
empty += b"\\0\\0\\0\\0\\0\\0\\0"
print(zoneinfo.ZoneInfo.from_file(io.BytesIO(empty), key="x"))
try: zoneinfo.ZoneInfo("No/Where")
except zoneinfo.ZoneInfoNotFoundError as error: print(error)
"""
    assert cell.run(source).log == cell.run_plain(source)
