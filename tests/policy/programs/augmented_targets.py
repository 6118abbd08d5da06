class B: pass
b = B(); b.n = 1; b.l = [1]; b.d = {"k": [1]}
b.n += 1; b.l += [2]; b.d["k"][0] -= 5; b.d["k"] *= 2
b.l[0], b.n = b.n, b.l[0]
x = y = z = [0]; x[0] = y[0] = 3
for b.n in range(3): pass
for x[0] in "ab": pass
print(b.n, b.l, b.d, x, z)
