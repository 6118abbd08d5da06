"""Queens on a board, by permutations and by backtracking: tuples, sets and recursion."""

import itertools

SIZE = 7


def by_permutation(size):
    columns = range(size)
    for rows in itertools.permutations(columns):
        if (
            len({rows[i] + i for i in columns}) == size
            and len({rows[i] - i for i in columns}) == size
        ):
            yield rows


def by_backtracking(size, placed=()):
    if len(placed) == size:
        yield placed
        return
    row = len(placed)
    for column in range(size):
        if all(column != c and abs(column - c) != row - r for r, c in enumerate(placed)):
            yield from by_backtracking(size, (*placed, column))


def run(size):
    first = list(by_permutation(size))
    second = list(by_backtracking(size))
    return len(first), sorted(first) == sorted(second), first[0]
