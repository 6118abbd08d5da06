class Countdown:
    def __init__(self, n): self.n = n
    def __iter__(self): return self
    def __next__(self):
        if self.n <= 0: raise StopIteration
        self.n -= 1
        return self.n
print(list(Countdown(3)), max(Countdown(4)), next(iter([]), "default"), [*zip("ab", Countdown(2))])
it = iter(lambda: 3, 3); print(list(it))
for i in range(3):
    if i == 5: break
else: print("no break")
while True:
    break
