class Point:
    def __init__(self, x): self.x = x
print("{} {1}".replace("{1}", "{}").format(1, 2), "{0:>5}|{0:<5}|{0:^5}".format("ab"))
print("{p.x} {d[k]} {!r}".replace("{!r}", "{0!r}").format("q", p=Point(3), d={"k": 4}))
print("{a}".format_map({"a": 1}), "{:{}}".format("x", 4) + "|", format(255, "#x"))
