import enum
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto, unique


class Color(Enum):
    RED = 1
    GREEN = 2
    ROUGE = 1

    @classmethod
    def _missing_(cls, value):
        return cls.GREEN if value == "green" else None

    @property
    def pretty(self):
        return self.name.title()


class Level(StrEnum):
    @staticmethod
    def _generate_next_value_(name, start, count, last_values):
        return name.lower() + str(count)

    LOW = auto()
    HIGH = auto()


class Permission(Flag):
    READ = auto()
    WRITE = auto()
    BOTH = READ | WRITE


class Bits(IntFlag, boundary=enum.KEEP):
    A = 1
    B = 2


class Planet(Enum):
    EARTH = (5.97e24, 6.37e6)
    MARS = (6.42e23, 3.39e6)

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius

    @property
    def gravity(self):
        return round(6.67e-11 * self.mass / self.radius**2, 1)


class Coordinate(bytes, Enum):
    def __new__(cls, value, label):
        obj = bytes.__new__(cls, [value])
        obj._value_ = value
        obj.label = label
        return obj

    PX = (0, "P.X")
    PY = (1, "P.Y")


print(Color("green"), Color.ROUGE is Color.RED, list(Color), Color["RED"].pretty, Color(1))
print(list(Level), Level.LOW == "low0", f"{Level.HIGH:>8}", str(Level.HIGH))
print(Permission.BOTH, Permission.READ in Permission.BOTH, ~Permission.READ, list(Permission.BOTH), Permission(0))
print(Bits(7), Bits.A | 2, int(Bits.B), Bits.A & Bits.B)
print(Planet.EARTH.gravity, Planet((6.42e23, 3.39e6)), Coordinate.PY.label, Coordinate(0))
try:
    Color(9)
except ValueError as error:
    print(error)
try:

    @unique
    class Twice(Enum):
        A = 1
        B = 1
except ValueError as error:
    print(error)
Animal = Enum("Animal", "CAT DOG")
Http = IntEnum("Http", {"OK": 200, "GONE": 410})
print(list(Animal), Http.OK + 1, Http(410).name, sorted(Http), Color.__members__["ROUGE"])
print({Color.RED: "r"}[Color(1)], Color.RED in Color, len(Color), hash(Color.RED) == hash("RED"))


class Weekday(Enum):
    MONDAY = 1

    @enum.nonmember
    def helper():
        return "h"

    def next(self):
        return self.value + 1


print(Weekday.MONDAY.next(), Weekday.helper())
match Color.RED:
    case Color.GREEN:
        print("no")
    case Color.RED:
        print("matched")
