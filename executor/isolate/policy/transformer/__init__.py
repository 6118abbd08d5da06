"""Wall 1 at compile time: one file per construct family, default refuse."""

from executor.isolate.policy.transformer.attributes import Attributes
from executor.isolate.policy.transformer.classes import Classes
from executor.isolate.policy.transformer.expressions import Expressions
from executor.isolate.policy.transformer.functions import Functions
from executor.isolate.policy.transformer.generics import Generics
from executor.isolate.policy.transformer.imports import Imports
from executor.isolate.policy.transformer.patterns import Patterns
from executor.isolate.policy.transformer.statements import Statements
from executor.isolate.policy.transformer.variables import Variables

__all__ = ["Policy"]


class Policy(
    Attributes,
    Classes,
    Expressions,
    Functions,
    Generics,
    Imports,
    Patterns,
    Statements,
    Variables,
):
    """The language of workers: ordinary Python, minus what reaches into the interpreter."""
