"""From a worker's sources to code objects, with every complaint at once.

Runs in an isolate only: the parser is C code that hostile source is aimed at.
"""

import ast
import marshal
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from executor.isolate.frames import Issue
from executor.isolate.policy.bounds import (
    MAX_DEPTH,
    MAX_MODULES,
    MAX_NODES,
    MAX_TOKENS,
    MAX_TOTAL_BYTES,
    RECURSION_LIMIT,
    Budget,
    count_tokens,
    measure,
)
from executor.isolate.policy.facades import FACADE_NAMES
from executor.isolate.policy.sources import (
    PLATFORM_MODULES,
    ModuleFile,
    SourceRefused,
    decode,
    issue,
    module_of,
)
from executor.isolate.policy.transformer import Policy
from executor.isolate.policy.transformer.hidden import SELF_MATCHING
from executor.isolate.policy.transformer.scopes import names_bound_by

REBINDABLE = ("type", "getattr", "hasattr", *SELF_MATCHING)
"""Builtins that are rewritten, unless the module gives the name a meaning of its own."""


@dataclass(slots=True)
class CompileResult:
    """Marshalled modules by dotted name, or the reasons why there are none."""

    modules: dict[str, bytes] = field(default_factory=dict)
    errors: list[Issue] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)


def compile_sources(sources: dict[str, bytes], main: str) -> CompileResult:
    """Compile every module of a worker. ``errors`` empty means that all of it can run."""
    result = CompileResult()
    if len(sources) > MAX_MODULES or sum(map(len, sources.values())) > MAX_TOTAL_BYTES:
        limit = f"{MAX_MODULES} modules or {MAX_TOTAL_BYTES // 1024**2} MiB of Python source"
        result.errors.append(issue(main, f"the worker has more than {limit}"))
        return result
    files = _module_files(sources, main, result)
    if main not in sources:
        result.errors.append(issue(main, "the main module is not among the uploaded modules"))
    available = _with_parents({f.name for f in files}) | FACADE_NAMES | PLATFORM_MODULES
    budget = Budget()
    with _deep_enough():
        for file in files:
            _compile(file, sources[file.file], available, budget, result)
    if result.errors:
        result.modules.clear()
    return result


def _module_files(sources: dict[str, bytes], main: str, result: CompileResult) -> list[ModuleFile]:
    found: dict[str, ModuleFile] = {}
    for file in sources:
        try:
            module = module_of(file, main)
        except SourceRefused as refused:
            result.errors.append(issue(file, str(refused)))
            continue
        if module is None:
            result.warnings.append(issue(file, "ignored: the platform provides this module"))
        elif other := found.get(module.name):
            result.errors.append(issue(file, f'"{other.file}" is the same module'))
        else:
            found[module.name] = module
    return list(found.values())


def _with_parents(names: set[str]) -> frozenset[str]:
    parts = [name.split(".") for name in names]
    return frozenset(".".join(p[: i + 1]) for p in parts for i in range(len(p)))


def _compile(
    module: ModuleFile, data: bytes, available: frozenset[str], budget: Budget, out: CompileResult
) -> None:
    """Compile one module into ``out``."""
    try:
        text = decode(data)
        _spend_tokens(text, budget)
        tree = _parse(text, module.file, out)
        _spend_nodes(tree, budget)
        code = _transform(tree, module.file, available, out)
    except SourceRefused as refused:
        out.errors.append(issue(module.file, str(refused)))
    except SyntaxError as error:
        out.errors.append(_syntax_issue(module.file, error))
    except (RecursionError, MemoryError, OverflowError, ValueError, SystemError) as error:
        reason = f"the code is too complex to compile ({type(error).__name__})"
        out.errors.append(issue(module.file, reason))
    else:
        out.modules[module.name] = marshal.dumps((module.file, module.is_package, code))


def _spend_tokens(text: str, budget: Budget) -> None:
    """Count a module's tokens. Raises ``SourceRefused`` beyond the bound, before any parsing."""
    budget.tokens -= count_tokens(text)
    if budget.tokens < 0:
        raise SourceRefused(f"the worker has more than {MAX_TOKENS} tokens")


def _spend_nodes(tree: ast.Module, budget: Budget) -> None:
    """Count a module's syntax nodes. Raises ``SourceRefused`` beyond the bounds."""
    count, depth = measure(tree)
    budget.nodes -= count
    if budget.nodes < 0:
        raise SourceRefused(f"the worker has more than {MAX_NODES} syntax nodes")
    if depth > MAX_DEPTH:
        raise SourceRefused(f"the code is nested more than {MAX_DEPTH} levels deep")


def _parse(text: str, file: str, out: CompileResult) -> ast.Module:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = ast.parse(text, file, "exec")
    out.warnings.extend(issue(file, str(w.message), w.lineno) for w in caught)
    return tree


def _transform(
    tree: ast.Module, file: str, available: frozenset[str], out: CompileResult
) -> types.CodeType | None:
    policy = Policy(file, available=available, future_annotations=_has_future_annotations(tree))
    policy.defined = _defined_names(tree)
    tree = policy.visit(tree)
    out.warnings.extend(policy.notes)
    out.errors.extend(policy.refusals)
    if policy.refusals:
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        code = compile(tree, file, "exec", dont_inherit=True, optimize=0)
    out.warnings.extend(issue(file, str(w.message), w.lineno) for w in caught)
    return code


def _syntax_issue(file: str, error: SyntaxError) -> Issue:
    return issue(file, f"{type(error).__name__}: {error.msg}", error.lineno or 0, error.offset or 0)


def _has_future_annotations(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


def _defined_names(tree: ast.Module) -> frozenset[str]:
    """Names that the module binds somewhere, parameters included; ``import *`` may bind any."""
    names: set[str] = set()
    for node in ast.walk(tree):
        names.update(names_bound_by(node))
        if isinstance(node, ast.arg):
            names.add(node.arg)
    if "*" in names:
        names.update(REBINDABLE)
    return frozenset(names)


@contextmanager
def _deep_enough() -> Iterator[None]:
    """Room for the visitors: the depth of the tree is bounded before they see it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
