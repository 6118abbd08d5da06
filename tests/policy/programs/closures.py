total = 0
def counter():
    n = 0
    def up(by=1):
        nonlocal n
        global total
        n += by
        total += by
        return n
    return up
c = counter()
c(); c(5)
print(c(), total)
