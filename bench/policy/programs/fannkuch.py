"""Flips of pancakes over all permutations: indexing and slicing of lists."""

SIZE = 8


def run(size):
    counts = list(range(1, size + 1))
    order = list(range(size))
    most, checksum, sign, left = 0, 0, 1, size
    while True:
        while left > 1:
            counts[left - 1] = left
            left -= 1
        stack, flips = order[:], 0
        while first := stack[0]:
            stack[: first + 1] = stack[first::-1]
            flips += 1
        most = max(most, flips)
        checksum += sign * flips
        sign = -sign
        while True:
            if left == size:
                return most, checksum
            order.insert(left, order.pop(0))
            counts[left] -= 1
            if counts[left] > 0:
                break
            left += 1
