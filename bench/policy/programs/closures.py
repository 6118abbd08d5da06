"""Functions that make functions: comprehensions, lambdas, decorators, nonlocal state."""

import functools

SIZE = 4_000


def counter():
    count = 0

    def increment(by=1):
        nonlocal count
        count += by
        return count

    return increment


def traced(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        wrapper.calls += 1
        return function(*args, **kwargs)

    wrapper.calls = 0
    return wrapper


@traced
def shift(value, by=1):
    return value + by


def compose(*functions):
    return functools.reduce(lambda f, g: lambda value: g(f(value)), functions)


def run(size):
    shift.calls = 0
    count = counter()
    add = [lambda value, i=i: value + i for i in range(10)]
    pipeline = compose(*add, shift)
    total = sum(pipeline(number) for number in range(size) if number % 3)
    table = {(a, b): count(a) for a in range(40) for b in range(40) if (a + b) % 2}
    unique = {pipeline(a) % 11 for a, _ in table}
    return total, count(0), len(table), sorted(unique), shift.calls
