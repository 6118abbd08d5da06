"""A process that runs the programs without an isolate: ``python -m bench.policy.child KIND``.

Reads ``[program, times]`` a line and answers ``[CPU nanoseconds, result]``, or ``[0, reason]`` for
a program that cannot run.
"""

import gc
import json
import sys
import types
from typing import Any

from RestrictedPython import compile_restricted_exec, safe_builtins
from RestrictedPython.Eval import default_guarded_getitem, default_guarded_getiter
from RestrictedPython.Guards import guarded_iter_unpack_sequence, guarded_unpack_sequence

from bench.policy.workload import PROGRAMS, timed


def plain(name: str, source: str) -> dict[str, Any]:
    """The program as it is."""
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, f"{name}.py", "exec", dont_inherit=True), vars(module))
    return vars(module)


LEFT_OUT = "all any bytes classmethod dict enumerate filter iter list map max min next object "
LEFT_OUT += (
    "property reversed set frozenset sorted staticmethod sum super tuple type zip __import__"
)


def stock(name: str, source: str) -> dict[str, Any]:
    """RestrictedPython with its own guards, and what else the programs need let through."""
    result = compile_restricted_exec(source, f"{name}.py")
    if result.errors:
        raise SyntaxError(result.errors[0])
    given = vars(__import__("builtins"))
    builtins = safe_builtins | {left_out: given[left_out] for left_out in LEFT_OUT.split()}
    namespace: dict[str, Any] = {
        "__name__": name,
        "__builtins__": builtins,
        "__metaclass__": type,
        "_getattr_": safe_builtins["_getattr_"],
        "_getitem_": default_guarded_getitem,
        "_getiter_": default_guarded_getiter,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
        "_unpack_sequence_": guarded_unpack_sequence,
        "_inplacevar_": _inplace,
        "_apply_": lambda function, *args, **kwargs: function(*args, **kwargs),
        "_write_": lambda value: value,
    }
    exec(result.code, namespace)
    return namespace


def _inplace(operator: str, value: Any, operand: Any) -> Any:
    """Augmented assignment to a variable, of the kinds that the programs use."""
    if operator == "+=":
        value += operand
    elif operator == "-=":
        value -= operand
    elif operator == "*=":
        value *= operand
    else:
        raise NotImplementedError(operator)
    return value


def main(kind: str) -> None:
    load = {"plain": plain, "stock": stock}[kind]
    loaded: dict[str, Any] = {}
    for name, source in PROGRAMS.items():
        try:
            loaded[name] = load(name, source)
        except SyntaxError as error:
            loaded[name] = str(error)
    gc.collect()
    gc.freeze()  # as in an isolate
    for line in sys.stdin:
        name, times = json.loads(line)
        print(json.dumps(_answer(loaded[name], times)), flush=True)


def _answer(program: Any, times: int) -> tuple[int, str]:
    if isinstance(program, str):
        return 0, program
    try:
        return timed(program["run"], program["SIZE"], times)
    except Exception as error:  # noqa: BLE001 - whatever a guard raises
        return 0, f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(sys.argv[1])
