"""Game of life on a set of cells: tuples, sets and comprehensions."""

from collections import Counter

SIZE = 24

GLIDER = [(1, 0), (2, 1), (0, 2), (1, 2), (2, 2)]
AROUND = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]


def step(cells):
    near = Counter((x + dx, y + dy) for x, y in cells for dx, dy in AROUND)
    return {cell for cell, count in near.items() if count == 3 or (count == 2 and cell in cells)}


def run(size):
    cells = {(x + 10 * i, y + 7 * (i % 3)) for i in range(20) for x, y in GLIDER}
    for _ in range(size):
        cells = step(cells)
    return len(cells), min(cells), max(cells)
