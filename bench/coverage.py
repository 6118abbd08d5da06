"""``python bench/coverage.py DIRECTORY...``: how many ordinary Python programs run unchanged.

Each file counts as a program; the other files below its directory are its modules. A program is
*accepted* if the policy takes it at upload, *served* if also every module and every name that it
takes from the library at its top level is there, and *complete* if that holds for all of its code.
Nothing is run. The sources must be trusted: they are parsed here, and not in an isolate.
"""

import argparse
import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from executor.isolate.policy import compile_sources, warm_up
from executor.isolate.policy.facades import library
from executor.isolate.policy.sources import PLATFORM_MODULES


@dataclass(frozen=True)
class Need:
    """Something of a library that a program uses: a module, or a name in one."""

    module: str
    name: str
    at_top: bool

    def missing(self, own: frozenset[str]) -> str | None:
        """What is not there, or None."""
        if self.module in PLATFORM_MODULES or self.module.partition(".")[0] in own:
            return None
        if self.module not in library():
            return f"module {self.module}"
        if not self.name or f"{self.module}.{self.name}" in library():
            return None
        there = self.name in vars(library()[self.module])
        return None if there else f"name {self.module}.{self.name}"


@dataclass(frozen=True)
class Verdict:
    """What the policy says of one program."""

    refusals: frozenset[str]
    missing_at_top: frozenset[str]
    missing: frozenset[str]

    @property
    def reasons(self) -> frozenset[str]:
        """Everything that stands in its way."""
        return self.refusals | self.missing


def needs(tree: ast.Module) -> Iterator[Need]:
    """What the program takes from libraries, as far as its text shows it."""
    modules: dict[str, str] = {}
    top = set(_at_top(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                modules[alias.asname or whole] = whole
                yield Need(alias.name, "", node in top)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for alias in node.names:
                yield Need(node.module, alias.name.removesuffix("*"), node in top)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in modules:
                if modules[name] in library() and not attribute.startswith("__"):
                    yield Need(modules[name], attribute, node in top)


def _at_top(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported, but for those that may fail or not run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.If | ast.Try):
            continue
        yield node
        yield from _at_top(node)


def judge(file: Path, own: frozenset[str]) -> Verdict | None:
    """The policy's verdict on a file, or None if it is no Python of this version."""
    data = file.read_bytes()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return None
    name = file.name if file.stem.isidentifier() else "program.py"
    result = compile_sources({f"program_{name}": data}, f"program_{name}")
    found = [(need.missing(own), need.at_top) for need in needs(tree)]
    return Verdict(
        frozenset(_short(error.message) for error in result.errors),
        frozenset(reason for reason, at_top in found if reason and at_top),
        frozenset(reason for reason, _ in found if reason),
    )


def _short(message: str) -> str:
    """A refusal without what is particular to one program."""
    return re.sub(r"^SyntaxError: .*", "SyntaxError", message).partition(": ")[0]


def report(title: str, verdicts: list[Verdict], rows: int) -> None:
    """Print the shares of a collection, and the reasons by how many programs have them."""
    accepted = [v for v in verdicts if not v.refusals]
    served = [v for v in accepted if not v.missing_at_top]
    complete = [v for v in served if not v.missing]
    print(f"\n{title}: {len(verdicts)} programs")
    for name, kept in (("accepted", accepted), ("served", served), ("complete", complete)):
        print(f"  {name:<10}{len(kept):>6}{len(kept) / max(len(verdicts), 1):>8.1%}")
    counts = Counter(reason for verdict in verdicts for reason in verdict.reasons)
    alone = Counter(next(iter(v.reasons)) for v in verdicts if len(v.reasons) == 1)
    print(f"  {'programs':>10}{'only it':>9}  reason")
    for reason, count in counts.most_common(rows):
        print(f"  {count:>10}{alone[reason]:>9}  {reason}")


def main() -> None:
    """Judge each directory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--skip", default="$^", help="regular expression of paths to leave out")
    parser.add_argument("--rows", type=int, default=40, help="reasons to print")
    options = parser.parse_args()
    warm_up()
    for directory in options.directories:
        files = [f for f in sorted(directory.rglob("*.py")) if not re.search(options.skip, str(f))]
        own = frozenset(f.stem for f in files) | {d.name for f in files for d in f.parents}
        verdicts = [verdict for f in files if (verdict := judge(f, own - set(library())))]
        report(str(directory), verdicts, options.rows)


if __name__ == "__main__":
    main()
