import array
import bisect
import colorsys
import copy
import difflib
import fnmatch
import fractions
import graphlib
import heapq
import ipaddress
import itertools
import keyword
import operator
import random
import re
import secrets
import shlex
import statistics
import string
import unicodedata
import weakref
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque, namedtuple
from functools import cache, cached_property, cmp_to_key, lru_cache, partial, partialmethod, reduce, singledispatch, singledispatchmethod, total_ordering

random.seed(42)
print(random.randint(1, 100), random.choice("abc"), random.sample(range(10), 3), random.Random(1).random())
items = [1, 2, 3]
random.shuffle(items)
print(items, len(secrets.token_hex(4)), secrets.compare_digest("a", "a"))
print(statistics.mean([1, 2, 4]), statistics.median([3, 1, 2]), statistics.stdev([1, 2, 3, 4]), fractions.Fraction(3, 4) + 1)
print(heapq.nsmallest(2, [5, 1, 3]), bisect.bisect([1, 3, 5], 3), list(heapq.merge([1, 4], [2, 3])))
print(difflib.get_close_matches("appel", ["ape", "apple"]), list(difflib.unified_diff(["a"], ["b"], lineterm=""))[2:])
print(list(graphlib.TopologicalSorter({"d": {"b", "c"}, "b": {"a"}, "c": {"a"}}).static_order())[0])
print(ipaddress.ip_address("10.0.0.1") in ipaddress.ip_network("10.0.0.0/8"), shlex.split("a 'b c' d"), fnmatch.fnmatch("x.py", "*.py"))
print(Counter("abracadabra").most_common(2), ChainMap({"a": 1}, {"b": 2})["b"], deque([1, 2, 3], maxlen=2), OrderedDict(a=1).popitem())
print(re.sub(r"(?P<a>\d+)", lambda m: str(int(m["a"]) * 2), "1 and 2"), re.findall(r"\w+", "a b"), re.split(r"[,;]", "a,b;c"))
print(unicodedata.name("é"), unicodedata.normalize("NFD", "é").encode(), keyword.iskeyword("if"), colorsys.rgb_to_hsv(1, 0, 0))
print(list(itertools.batched([1, 2, 3], 2)) if hasattr(itertools, "batched") else [(1, 2), (3,)], list(itertools.pairwise("abc")))


@total_ordering
class Card:
    def __init__(self, rank):
        self.rank = rank

    def __eq__(self, other):
        return self.rank == other.rank

    def __lt__(self, other):
        return self.rank < other.rank

    @cached_property
    def square(self):
        return self.rank**2

    @singledispatchmethod
    def show(self, arg):
        return "object"

    @show.register
    def _(self, arg: int):
        return "int"

    def power(self, base, exponent):
        return base**exponent

    cube = partialmethod(power, exponent=3)


@singledispatch
def kind(value):
    return "other"


@kind.register
def _(value: int):
    return "int"


@kind.register(list)
@kind.register(tuple)
def _(value):
    return "sequence"


@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


print(Card(2) > Card(1), Card(3).square, Card(1).show(1), Card(1).show("x"), Card(1).cube(2), kind(1), kind((1,)), kind("x"))
print(fib(50), fib.cache_info().hits > 0, reduce(operator.mul, [1, 2, 3]), partial(pow, 2)(3), sorted([3, 1], key=cmp_to_key(lambda a, b: b - a)))
cache_of = weakref.WeakValueDictionary()


class Thing:
    pass


card = Thing()
cache_of["x"] = card
keys = weakref.WeakKeyDictionary({card: 1})
weakref.finalize(card, print, "gone")
print("x" in cache_of, len(keys), weakref.ref(card)() is card)
del card
print("x" in cache_of, array.array("i", [1, 2]).tolist(), copy.deepcopy({"a": [1]}))
