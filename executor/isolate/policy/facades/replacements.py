"""Names of the library that are replaced by guarded versions, by module."""

import ast
import posixpath
from typing import Any

from executor.isolate.policy.facades import (
    arrays,
    compression,
    copying,
    encodings,
    files,
    functional,
    logconfig,
    loggers,
    mail,
    reentrant,
    reports,
    signatures,
    structures,
    system,
    tasks,
    testing,
    threads,
    trees,
    typed,
)
from executor.isolate.policy.formatting import Formatter

MAX_LITERAL_CHARS = 1_000_000
MAX_LITERAL_BRACKETS = 50_000


def literal_eval(node_or_string: Any) -> Any:
    """``ast.literal_eval`` of text, bounded.

    Raises:
        ValueError: it is too large, or not a literal.
    """
    if not isinstance(node_or_string, str):
        raise TypeError("literal_eval() takes text here")
    text = str(node_or_string)
    if len(text) > MAX_LITERAL_CHARS or sum(map(text.count, "([{")) > MAX_LITERAL_BRACKETS:
        raise ValueError("the text is too large for literal_eval()")
    try:
        return ast.literal_eval(text)
    except (MemoryError, RecursionError):
        raise ValueError("the text is nested too deeply") from None


REPLACEMENTS: dict[str, dict[str, Any]] = {
    "array": arrays.ARRAY,
    "abc": {**structures.ABC, **functional.ABSTRACT},
    "ast": {"literal_eval": literal_eval},
    "asyncio": tasks.ASYNCIO,
    "bz2": compression.BZ2,
    "codecs": encodings.CODECS,
    "collections": structures.COLLECTIONS,
    "concurrent.futures": threads.FUTURES,
    "contextlib": reports.CONTEXTLIB,
    "contextvars": tasks.CONTEXTVARS,
    "csv": reentrant.CSV,
    "copy": {"copy": copying.copy, "deepcopy": copying.deepcopy},
    "dataclasses": structures.DATACLASSES,
    "email": mail.EMAIL,
    "email.parser": mail.EMAIL_PARSER,
    "email.policy": mail.EMAIL_POLICY,
    "email.utils": mail.EMAIL_UTILS,
    "enum": structures.ENUM,
    "functools": functional.FUNCTOOLS,
    "gc": system.GC,
    "gzip": compression.GZIP,
    "importlib": system.IMPORTLIB,
    "inspect": signatures.INSPECT,
    "io": files.IO,
    "itertools": reentrant.ITERTOOLS,
    "logging": loggers.LOGGING,
    "logging.config": logconfig.LOGGING_CONFIG,
    "lzma": compression.LZMA,
    "operator": functional.OPERATOR,
    "os": system.OS,
    "os.path": system.OS_PATH,
    "pathlib": files.PATHLIB,
    "platform": system.PLATFORM,
    "pprint": reports.PPRINT,
    "string": {"Formatter": Formatter},
    "sys": system.SYS,
    "threading": threads.THREADING,
    "traceback": reports.TRACEBACK,
    "types": typed.TYPES,
    "typing": typed.TYPING,
    "unittest": testing.UNITTEST,
    "warnings": reports.WARNINGS,
    "xml.etree.ElementTree": trees.ETREE,
    "zlib": compression.ZLIB,
    "zoneinfo": reentrant.ZONEINFO,
}

REAL_NAMES: dict[str, str] = {"os.path": posixpath.__name__, "unittest": testing.__name__}
"""Where a facade's names are found, if not in the module of that name."""
