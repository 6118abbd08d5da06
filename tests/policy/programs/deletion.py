d = {"a": 1, "b": 2}; del d["a"]
l = [1, 2, 3, 4]; del l[1:3]
class C: pass
c = C(); c.x = 1; c._y = 2; del c.x, c._y
print(d, l, vars(c))
a = b = 1; del (a, b)
try: a
except NameError: print("gone")
