class Animal:
    kind = "animal"
    _registry = []
    def __init__(self, name):
        self.name = name
        self._mood = "calm"
        self.__secret = name[::-1]
        Animal._registry.append(self)
    def __repr__(self): return f"{type(self).__name__}({self.name!r})"
    def secret(self): return self.__secret
    @property
    def mood(self): return self._mood
    @mood.setter
    def mood(self, value): self._mood = value
    @mood.deleter
    def mood(self): del self._mood
    @classmethod
    def make(cls, *names): return [cls(n) for n in names]
    @staticmethod
    def sound(): return "..."
    def louder(self, other): return self._mood > other._mood
class Dog(Animal):
    kind = "dog"
    def __init__(self, name, tricks=()):
        super().__init__(name)
        self.tricks = list(tricks)
    @staticmethod
    def sound(): return "woof " + Animal.sound()
a, b = Dog.make("rex", "fido")
a.mood = "happy"
print(a, b, a.mood, a.secret(), a.sound(), a.kind, a.louder(b), len(Animal._registry))
print(isinstance(a, Animal), issubclass(Dog, Animal), a._Animal__secret, a.__class__.__name__)
del a.mood
print(hasattr(a, "mood"), getattr(a, "mood", "none"), vars(b))
