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

import msgspec

from executor.isolate.frames import Issue
from executor.isolate.policy.bounds import (
    MAX_CODE_BYTES,
    MAX_DEPTH,
    MAX_ISSUES,
    MAX_MESSAGE_CHARS,
    MAX_NODES,
    MAX_TOKENS,
    RECURSION_LIMIT,
    Budget,
    count_tokens,
    excess,
    first_beyond,
    first_overfull,
    measure,
)
from executor.isolate.policy.facades import FACADE_NAMES, HINTS
from executor.isolate.policy.sources import (
    PLATFORM_MODULES,
    ModuleFile,
    SourceRefused,
    decode,
    issue,
    lines,
    module_of,
)
from executor.isolate.policy.transformer import Policy
from executor.isolate.policy.transformer.facts import children, names_bound_by
from executor.isolate.policy.transformer.hidden import SELF_MATCHING

REBINDABLE = ("type", "getattr", "hasattr", *SELF_MATCHING)
"""Builtins that are rewritten, unless the module gives the name a meaning of its own."""

TOO_DEEP = (
    f"the code is nested more than {MAX_DEPTH} levels deep; split the expression or the chain"
)
TOO_MANY_BLOCKS = (
    "try, with and comprehensions are nested too deeply here; move the inner ones into a function"
)
_SMALLER = "split it into several workers, or keep data in KV, not in code"


@dataclass(slots=True)
class CompileResult:
    """Marshalled modules by dotted name, or the reasons why there are none."""

    modules: dict[str, bytes] = field(default_factory=dict)
    errors: list[Issue] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)

    def finish(self, main: str) -> None:
        """Bound what is told, and leave no code if there is an error."""
        if sum(map(len, self.modules.values())) > MAX_CODE_BYTES:
            size = f"{MAX_CODE_BYTES // 1024**2} MiB"
            reason = f"the compiled worker is larger than {size}; keep data in KV, not in code"
            self.errors.append(issue(main, reason))
        if self.errors:
            self.modules.clear()
        self.errors[:], self.warnings[:] = _bounded(self.errors), _bounded(self.warnings)


def _bounded(issues: list[Issue]) -> list[Issue]:
    told = [
        msgspec.structs.replace(each, message=_shortened(each.message))
        for each in issues[:MAX_ISSUES]
    ]
    left = len(issues) - len(told)
    return [*told, Issue(message=f"... and {left} more")] if left else told


def _shortened(message: str) -> str:
    if len(message) <= MAX_MESSAGE_CHARS:
        return message
    half = MAX_MESSAGE_CHARS // 2
    return f"{message[:half]}[...]{message[-half:]}"


def compile_sources(sources: dict[str, bytes], main: str) -> CompileResult:
    """Compile every module of a worker. ``errors`` empty means that all of it can run."""
    result = CompileResult()
    if reason := excess(sources):
        result.errors.append(issue(main, reason))
        return result
    files = module_files(sources, main, result)
    if main not in sources:
        result.errors.append(issue(main, "the main module is not among the uploaded modules"))
    available = _with_parents({f.name for f in files}) | FACADE_NAMES | PLATFORM_MODULES
    budget = Budget()
    with _deep_enough():
        for file in files:
            _compile(file, sources[file.file], available, budget, result)
    result.finish(main)
    return result


def module_files(sources: dict[str, bytes], main: str, result: CompileResult) -> list[ModuleFile]:
    """The modules that the files are; what cannot be one is told in ``result``."""
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
        code = _transform(tree, text, module.file, available, out)
        if code is not None:
            packed = marshal.dumps((module.file, module.is_package, code))
            out.modules[module.name] = packed
    except SourceRefused as refused:
        out.errors.append(issue(module.file, str(refused), refused.line))
    except SyntaxError as error:
        out.errors.append(syntax_issue(module.file, error))
    except RecursionError:
        out.errors.append(issue(module.file, TOO_DEEP))
    except (MemoryError, OverflowError, ValueError, SystemError) as error:
        reason = f"the code is nested too deeply, or too large, to compile ({type(error).__name__})"
        out.errors.append(issue(module.file, reason))


def _spend_tokens(text: str, budget: Budget) -> None:
    """Count a module's tokens. Raises ``SourceRefused`` beyond the bound, before any parsing."""
    budget.tokens -= count_tokens(text)
    if budget.tokens < 0:
        raise SourceRefused(f"the worker has more than {MAX_TOKENS} tokens; {_SMALLER}")


def _spend_nodes(tree: ast.Module, budget: Budget) -> None:
    """Count a module's syntax nodes. Raises ``SourceRefused`` beyond the bounds."""
    count, depth = measure(tree)
    budget.nodes -= count
    if budget.nodes < 0:
        raise SourceRefused(f"the worker has more than {MAX_NODES} syntax nodes; {_SMALLER}")
    if depth > MAX_DEPTH:
        raise SourceRefused(TOO_DEEP, first_beyond(tree, MAX_DEPTH))
    if (node := first_overfull(tree)) is not None:
        raise SourceRefused(TOO_MANY_BLOCKS, getattr(node, "lineno", 0))


def _parse(text: str, file: str, out: CompileResult) -> ast.Module:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = ast.parse(text, file, "exec")
    out.warnings.extend(issue(file, str(w.message), w.lineno) for w in caught)
    return tree


def _transform(
    tree: ast.Module, text: str, file: str, available: frozenset[str], out: CompileResult
) -> types.CodeType | None:
    policy = Policy(file, available=available, future_annotations=_has_future_annotations(tree))
    policy.defined = _defined_names(tree)
    policy.hints = HINTS
    tree = policy.visit(tree)
    out.warnings.extend(_in_characters(policy.notes, text))
    if policy.refusals:
        refusals = _in_characters(policy.refusals, text)
        known = {each.line for each in refusals}
        refusals += [each for each in _late_errors(text, file) if each.line not in known]
        out.errors.extend(sorted(refusals, key=lambda each: (each.line, each.column)))
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            code = compile(tree, file, "exec", dont_inherit=True, optimize=0)
        except SyntaxError as error:
            out.errors.extend(_in_characters([syntax_issue(file, error)], text))
            return None
    out.warnings.extend(issue(file, str(w.message), w.lineno) for w in caught)
    return code


def _late_errors(text: str, file: str) -> list[Issue]:
    """What the interpreter itself finds wrong only after parsing, such as a stray ``return``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(ast.parse(text, file), file, "exec", dont_inherit=True, optimize=0)
        except SyntaxError as error:
            return _in_characters([syntax_issue(file, error)], text)
        except (RecursionError, MemoryError, OverflowError, ValueError, SystemError):
            return []  # there are other reasons already
    return []


def _in_characters(issues: list[Issue], text: str) -> list[Issue]:
    """The same with columns that count characters, not bytes as the interpreter does."""
    if not issues or text.isascii():
        return issues
    found = [line.encode() for line in lines(text)]

    def moved(each: Issue) -> Issue:
        if not 0 < each.line <= len(found):
            return each
        before = found[each.line - 1][: max(0, each.column - 1)]
        return msgspec.structs.replace(each, column=len(before.decode("utf-8", "ignore")) + 1)

    return [moved(each) for each in issues]


def syntax_issue(file: str, error: SyntaxError) -> Issue:
    """What the parser complains of."""
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
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        names.update(names_bound_by(node))
        if isinstance(node, ast.arg):
            names.add(node.arg)
        names.update(each.name for each in getattr(node, "type_params", ()))
        todo += children(node)
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
