print([x * y for x in range(3) for y in range(3) if x != y], {x: x**2 for x in range(4)})
print({c for c in "hello"} == set("helo"), sum(x for x in range(10) if x % 2))
print([(y := x + 1) for x in range(3)], y)
