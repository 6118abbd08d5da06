"""Enums, match statements and handlers by event: an order on its way."""

import enum

SIZE = 2_000


class State(enum.Enum):
    NEW = enum.auto()
    PAID = enum.auto()
    SENT = enum.auto()
    DONE = enum.auto()
    FAILED = enum.auto()


class Order:
    def __init__(self, number):
        self.number = number
        self.state = State.NEW
        self.log = []

    def handle(self, event):
        before = self.state
        match event, self.state:
            case {"kind": "pay", "amount": amount}, State.NEW if amount > 0:
                self.state = State.PAID
            case {"kind": "send"}, State.PAID:
                self.state = State.SENT
            case {"kind": "receive", "by": str(name)}, State.SENT if name:
                self.state = State.DONE
            case {"kind": "cancel"}, State.NEW | State.PAID:
                self.state = State.FAILED
            case _:
                self.log.append("ignored")
        if self.state is not before:
            self.log.append(self.state.name)


def events(number):
    yield {"kind": "pay", "amount": number % 7}
    if number % 11 == 0:
        yield {"kind": "cancel"}
    yield {"kind": "send"}
    yield {"kind": "receive", "by": "ann" if number % 5 else ""}


def run(size):
    ends = {}
    for number in range(size):
        order = Order(number)
        for event in events(number):
            order.handle(event)
        key = order.state, tuple(order.log)
        ends[key] = ends.get(key, 0) + 1
    return sorted((state.name, log, count) for (state, log), count in ends.items())
