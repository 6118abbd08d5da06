import math, cmath, decimal, fractions, statistics, random, numbers
from decimal import Decimal, getcontext, localcontext
getcontext().prec = 10
print(Decimal(1) / 3, Decimal("1.10").quantize(Decimal("0.1")), fractions.Fraction(3, 6) + 1)
with localcontext() as ctx:
    ctx.prec = 3
    print(Decimal(2) / 3)
print(math.isclose(0.1 + 0.2, 0.3), math.comb(5, 2), cmath.sqrt(-1), math.inf > 1, math.prod([1, 2, 3]))
print(statistics.mean([1, 2, 4]), statistics.median([3, 1]), round(statistics.stdev([1, 2, 3]), 3))
r = random.Random(42); print(r.randint(1, 100), r.choice("abc"), r.sample(range(10), 3))
print(isinstance(1, numbers.Integral), int("ff", 16), 0b101, 1_000, float("1e3"), complex(1, 2), bin(5))
