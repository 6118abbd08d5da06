import itertools as it, operator
from operator import itemgetter, attrgetter, methodcaller
class P:
    def __init__(s, n): s.n = n; s._p = -n
ps = [P(2), P(1)]
print([p.n for p in sorted(ps, key=attrgetter("n"))], [p.n for p in sorted(ps, key=attrgetter("_p"))])
print(sorted([(1, "b"), (0, "c")], key=itemgetter(1)), methodcaller("upper")("x"), operator.add(1, 2))
print(list(it.chain("ab", [1])), list(it.islice(it.count(5), 3)), list(it.product("ab", [1, 2])))
print([(k, list(g)) for k, g in it.groupby("aabbb")], list(it.accumulate([1, 2, 3])), list(it.pairwise("abc")))
print(methodcaller("format", 7)("<{}>"), list(it.zip_longest("ab", "c", fillvalue="-")))
