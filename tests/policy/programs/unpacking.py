a, (b, *c), d = 1, (2, 3, 4), 5
[e, f] = {"k": 1, "l": 2}
for i, (j, k) in enumerate([(1, 2), (3, 4)]):
    print(i, j, k)
first, *_, last = range(5)
print(a, b, c, d, e, f, first, last, {**{"a": 1}, "b": 2}, [*range(2), *"ab"])
