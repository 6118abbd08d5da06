"""What an import does: functions, classes, an abstract base, an enum, decorated methods."""

import abc
import enum
import functools

SIZE = 40


def define(number):
    def logged(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    class Base(abc.ABC):
        kind = "base"

        def __init__(self, value):
            self._value = value

        @property
        def value(self):
            return self._value

        @abc.abstractmethod
        def double(self):
            raise NotImplementedError

    class Derived(Base):
        kind = "derived"
        limit = number

        @staticmethod
        def helper(value):
            return value + 1

        @classmethod
        def make(cls, value):
            return cls(value)

        @logged
        def double(self):
            return self._value * 2

        def __eq__(self, other):
            return self._value == other._value

    class Color(enum.Enum):
        RED = 1
        GREEN = 2

    return Derived.make(number).double() + Color.GREEN.value


def run(size):
    return sum(define(number) for number in range(size))
