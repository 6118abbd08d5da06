import functools
import inspect
from dataclasses import dataclass, field


def greet(name: str, /, greeting="Hello", *rest, loud: bool = False, **more) -> str:
    """Greet somebody."""
    return f"{greeting}, {name}"


def traced(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@traced
def add(a: int, b: int = 2) -> int:
    return a + b


class Service:
    def __init__(self, url, *, timeout=10):
        self.url, self.timeout = url, timeout

    def get(self, path, retries=3):
        return path

    @classmethod
    def local(cls, port=80):
        return cls(f"localhost:{port}")

    @staticmethod
    def helper(x):
        return x

    def __call__(self, request):
        return request


@dataclass
class Point:
    x: int
    y: int = 0
    tags: list = field(default_factory=list)


class Empty:
    pass


for each in (greet, add, Service, Service("u").get, Service.get, Service.local, Service.helper, Service("u"), Point, Empty):
    print(inspect.signature(each))
print(inspect.signature(functools.partial(greet, "Ann", loud=True)))
for name, parameter in inspect.signature(greet).parameters.items():
    print(name, parameter.kind.name, parameter.default is inspect.Parameter.empty, parameter.annotation)
bound = inspect.signature(greet).bind("Bob", "Hi", 1, 2, loud=True, x=3)
bound.apply_defaults()
print(bound.args, bound.kwargs, dict(bound.arguments))
try:
    inspect.signature(add).bind(1, 2, 3)
except TypeError as error:
    print(error)
print(inspect.signature(add).return_annotation, inspect.signature(add, follow_wrapped=False))
print(inspect.getfullargspec(Service.get))
print([name for name, _ in inspect.getmembers(Service, inspect.isfunction) if not name.startswith("_")])
print(inspect.getdoc(greet), inspect.unwrap(add) is add.__wrapped__, inspect.ismodule(functools))
container = {}


def inject(function):
    wanted = {n: container[n] for n in inspect.signature(function).parameters if n in container}
    return function(**wanted)


container["db"] = "database"
print(inject(lambda db: db.upper()))
