"""Counting, grouping, inverting and memoising in dictionaries."""

from collections import Counter, defaultdict

SIZE = 6_000


def collatz(number, known):
    if number in known:
        return known[number]
    steps = 1 + collatz(number // 2 if number % 2 == 0 else 3 * number + 1, known)
    known[number] = steps
    return steps


def run(size):
    counts = {}
    for number in range(size):
        key = f"k{number * number % 997}"
        counts[key] = counts.get(key, 0) + 1
    groups = defaultdict(list)
    for key, count in counts.items():
        groups[count].append(key)
    inverted = {key: count for count, keys in groups.items() for key in keys}
    known = {1: 0}
    longest = max(range(1, size // 4), key=lambda number: collatz(number, known))
    common = Counter(len(key) for key in inverted).most_common(2)
    return len(inverted), longest, known[longest], common, sorted(groups)[:5]
