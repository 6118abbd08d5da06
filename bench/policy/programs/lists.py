"""A sieve, a matrix product, sorting with keys, and slices."""

SIZE = 40


def primes(limit):
    is_prime = [True] * (limit + 1)
    for number in range(2, int(limit**0.5) + 1):
        if is_prime[number]:
            is_prime[number * number :: number] = [False] * len(
                range(number * number, limit + 1, number)
            )
    return [number for number in range(2, limit + 1) if is_prime[number]]


def product(a, b):
    columns = list(zip(*b))
    return [[sum(x * y for x, y in zip(row, column)) for column in columns] for row in a]


def bubble(values):
    for end in range(len(values) - 1, 0, -1):
        for i in range(end):
            if values[i] > values[i + 1]:
                values[i], values[i + 1] = values[i + 1], values[i]
    return values


def run(size):
    matrix = [[(i * j) % 7 for j in range(size)] for i in range(size)]
    squared = product(matrix, matrix)
    found = primes(size * 500)
    by_digits = sorted(found, key=lambda number: (number % 10, -number))
    mixed = [(number * 7919) % 1009 for number in range(size * 5)]
    return sum(map(sum, squared)), by_digits[:4], found[-1], bubble(mixed)[::37]
