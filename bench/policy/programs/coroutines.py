"""Coroutines, asynchronous generators and context managers, driven by a small loop of their own."""

from collections import deque

SIZE = 1_000


class Switch:
    def __await__(self):
        yield


class Gate:
    def __init__(self, room):
        self._room = room
        self.entered = 0

    async def __aenter__(self):
        while self._room == 0:
            await Switch()
        self._room -= 1
        self.entered += 1

    async def __aexit__(self, *error):
        self._room += 1


async def numbers(limit):
    for number in range(limit):
        await Switch()
        yield number


async def work(name, gate, results):
    total = 0
    async for number in numbers(5):
        async with gate:
            await Switch()
            total += number * name
    results[name] = total


def run(size):
    gate, results = Gate(3), {}
    ready = deque(work(name, gate, results) for name in range(size // 10))
    switches = 0
    while ready:
        task = ready.popleft()
        try:
            task.send(None)
        except StopIteration:
            continue
        switches += 1
        ready.append(task)
    return sum(results.values()), gate.entered, switches
