from enum import Enum, IntEnum, Flag, StrEnum, auto, unique
@unique
class Planet(Enum):
    EARTH = (5.97, 6.37)
    MARS = (0.64, 3.39)
    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius
    @property
    def density(self): return round(self.mass / self.radius**3, 4)
    @classmethod
    def default(cls): return cls.EARTH
    @classmethod
    def _missing_(cls, value): return cls.EARTH
class P(Flag): R = auto(); W = auto(); X = auto()
class Level(IntEnum): LOW = 1; HIGH = 2
class S(StrEnum): A = auto(); B = "bee"
print(Planet.EARTH, Planet.MARS.density, Planet["MARS"].name, Planet("x"), Planet.default())
print(P.R | P.W, P.R in (P.R | P.X), list(P), Level.HIGH > 1, Level(2), S.A, f"{S.B}")
print([p.value for p in Planet], Planet.__members__.keys(), len(Planet), Planet.EARTH._value_)
Animal = Enum("Animal", "CAT DOG")
print(Animal.CAT, Animal(2), Enum("E", {"A": 1}).A.value, Enum("E", [("A", 5)]).A)
