class Plugin:
    registry = {}

    def __init_subclass__(cls, /, name=None, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.registry[name or cls.__name__.lower()] = cls

    def __class_getitem__(cls, item):
        return f"{cls.__name__}[{item}]"


class Csv(Plugin, name="csv"):
    pass


class Json(Plugin):
    pass


class Typed:
    def __init__(self, kind, default=None):
        self.kind, self.default = kind, default

    def __set_name__(self, owner, name):
        self.name, self.slot = name, "_" + name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return getattr(instance, self.slot, self.default)

    def __set__(self, instance, value):
        if not isinstance(value, self.kind):
            raise TypeError(f"{self.name} must be {self.kind.__name__}")
        setattr(instance, self.slot, value)

    def __delete__(self, instance):
        delattr(instance, self.slot)


class Person:
    name = Typed(str)
    age = Typed(int, 0)

    def __init__(self, name):
        self.name = name


class Secret:
    def __init__(self):
        self.__value = 42
        self.__class__.made = True

    def __hidden(self):
        return self.__value

    def reveal(self):
        return self.__hidden(), self._Secret__value


class Other(Secret):
    def __init__(self):
        super().__init__()
        self.__value = 7

    def both(self):
        return self.reveal(), self.__value


class Lazy:
    def __getattr__(self, name):
        if name.startswith("get_"):
            return lambda: name.removeprefix("get_")
        raise AttributeError(name)

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value * 2)

    def __delattr__(self, name):
        print("deleting", name)
        super().__delattr__(name)


class Proxy:
    def __init__(self, target):
        self._target = target

    def __getattr__(self, name):
        return getattr(self._target, name)

    def __dir__(self):
        return ["a", "b"]


print(Plugin.registry["csv"] is Csv, list(Plugin.registry), Csv["x"])
p = Person("Ann")
p.age = 3
try:
    p.age = "old"
except TypeError as error:
    print(error)
del p.age
print(p.name, p.age, Person.name.slot, vars(p))
print(Secret().reveal(), Other().both(), Secret.made)
lazy = Lazy()
lazy.x = 2
print(lazy.get_user(), lazy.x, hasattr(lazy, "nope"))
del lazy.x
print(Proxy([1, 2]).count(1), dir(Proxy(1)), type(Proxy(1)).__name__)


class Meta:
    def __new__(cls, *args):
        instance = super().__new__(cls)
        instance.args = args
        return instance

    def __call__(self, x):
        return x + len(self.args)

    def __reduce__(self):
        return (Meta, self.args)


print(Meta(1, 2)(3), callable(Meta()), isinstance(Meta(), Meta))
