from abc import ABC, abstractmethod, ABCMeta
class Shape(ABC):
    @property
    @abstractmethod
    def area(self): ...
    @classmethod
    def __subclasshook__(cls, other):
        return NotImplemented
class Square(Shape):
    def __init__(self, s): self._s = s
    @property
    def area(self): return self._s ** 2
class Other(metaclass=ABCMeta):
    @abstractmethod
    def f(self): pass
print(Square(3).area)
for C in (Shape, Other):
    try: C()
    except TypeError as e: print(e)
@Shape.register
class Virtual: area = 1
print(isinstance(Virtual(), Shape), issubclass(Virtual, Shape))
