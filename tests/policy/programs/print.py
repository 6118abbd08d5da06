print(); print("a", "b", sep="-", end="!\n"); print(1, None, [2], flush=True); print("multi\nline")
print(*range(3), sep="\n"); print("no newline", end=""); print(" continued")
