class C:
    '''Doc.'''
    a = 1
    def m(self): '''Method.'''
def f(x): '''F.'''
print(type(1) is int, type("s"), type(C()) is C, isinstance(C, type), C.__name__, C.__qualname__, C.__doc__, f.__doc__)
print(C.m.__doc__, C().__class__ is C, callable(f), type(f).__name__, type(C).__name__, C().__module__ == __name__)
print(type(None), isinstance(None, type(None)), {int: "i", type(C()): "c"}[C], type(C()).__name__)
import inspect, types
print(inspect.isfunction(f), inspect.isclass(C), inspect.iscoroutinefunction(f), isinstance(f, types.FunctionType))
print(isinstance((x for x in ()), types.GeneratorType), inspect.getdoc(C), types.SimpleNamespace(a=1))
ns = types.SimpleNamespace(); ns.b = 2; print(ns.b, vars(ns))
print(type(f) is types.FunctionType, isinstance(C().m, types.MethodType), types.MethodType(lambda s: s, 3)())
print(id(C) == id(C), hash("a") == hash("a"), type(3).__name__, issubclass(bool, int), type(type(C)).__name__)
