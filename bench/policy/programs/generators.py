"""Pipelines of generators, a tree that yields from its branches, and a coroutine fed by send."""

import itertools

SIZE = 9


class Tree:
    def __init__(self, left, value, right):
        self.left = left
        self.value = value
        self.right = right

    def __iter__(self):
        if self.left:
            yield from self.left
        yield self.value
        if self.right:
            yield from self.right


def build(values):
    if not values:
        return None
    middle = len(values) // 2
    return Tree(build(values[:middle]), values[middle], build(values[middle + 1 :]))


def averages():
    total, count = 0.0, 0
    value = yield
    while True:
        total += value
        count += 1
        value = yield total / count


def squares(numbers):
    for number in numbers:
        yield number * number


def run(size):
    tree = build(list(range(2**size)))
    feed = averages()
    next(feed)
    last = 0.0
    for value in itertools.chain(tree, tree, tree):
        last = feed.send(value)
    odd = (number for number in squares(itertools.count()) if number % 2)
    few = list(itertools.islice(odd, 2**size * 4))
    pairs = sum(a * b for a, b in zip(few, few[1:]) if a < b)
    return last, few[-1], pairs
