class Plugin:
    registry = {}
    def __init_subclass__(cls, /, name=None, **kw):
        super().__init_subclass__(**kw)
        cls.registry[name or cls.__name__] = cls
    def __class_getitem__(cls, item): return f"{cls.__name__}[{item}]"
class A(Plugin, name="a"): pass
class B(Plugin): pass
print(sorted(Plugin.registry), A["x"])
class Field:
    def __set_name__(self, owner, name): self.name = "_" + name
    def __get__(self, obj, owner=None):
        return self if obj is None else getattr(obj, self.name, 0)
    def __set__(self, obj, value):
        if value < 0: raise ValueError("negative")
        setattr(obj, self.name, value)
    def __delete__(self, obj): delattr(obj, self.name)
class Account:
    balance = Field()
acc = Account(); acc.balance = 5
print(acc.balance, vars(acc))
del acc.balance
print(acc.balance)
