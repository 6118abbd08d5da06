def gen(n):
    received = yield "start"
    try:
        while n:
            received = yield (n, received)
            n -= 1
    finally:
        print("closed")
    return "done"
g = gen(2)
print(next(g), g.send("a"), g.send("b"))
try: g.send("c")
except StopIteration as stop: print(stop.value)
def outer():
    result = yield from gen(1)
    print("result", result)
print(list(outer()))
g = gen(3); next(g); next(g); g.close()
