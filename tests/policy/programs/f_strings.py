name, value, width = "x", 3.14159, 10
print(f"{name!r:>{width}} {value:.2f} {value=:.1f} {'nested ' + name} {{literal}} {1_000_000:,}")
print("%s %d %5.1f %(a)s" % ("a", 1, 2.5) if False else "%s-%03d" % ("a", 7))
