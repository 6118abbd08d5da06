x = 7
x += 3; x -= 1; x *= 2; x //= 4; x **= 2; x %= 7; x <<= 2; x |= 1; x ^= 3; x &= 15; x >>= 1
print(x, 7 / 2, -7 // 2, 2 ** 10, ~5, not x, 3 if x else 4, divmod(17, 5), round(2.567, 2))
