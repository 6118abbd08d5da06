from typing import Protocol, ClassVar, Any
class Greeter(Protocol):
    name: str
    def greet(self) -> str: return f"hi {self.name}"
class Person(Greeter):
    def __init__(self, name: str) -> None: self.name = name
print(Person("bo").greet(), Person.__annotations__ if False else "")
def typed(a: int, b: "str" = "x", *, c: list[dict[str, int]] | None = None) -> tuple[int, ...]:
    local: dict[str, Any] = {"a": a}
    return (a, len(b), *local.values())
print(typed(1), typed.__annotations__["a"], typed.__defaults__, typed.__kwdefaults__)
