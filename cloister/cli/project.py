"""A worker project on disk: its configuration (a subset of wrangler's) and its modules."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloister.client import Module
from cloister.errors import CloisterError

CONFIG_NAMES = ("wrangler.toml", "wrangler.jsonc", "wrangler.json", "cloister.toml")
ENTRY_NAMES = ("src/entry.py", "src/worker.py", "entry.py", "worker.py")
COMPATIBILITY_DATE = "2026-01-01"

CONTENT_TYPES = {
    ".py": "text/x-python",
    ".txt": "text/plain",
    ".html": "text/plain",
    ".sql": "text/plain",
    ".bin": "application/octet-stream",
    ".wasm": "application/wasm",
}
"""Files that become modules, by suffix; others stay at home."""

SKIPPED = {"__pycache__", "node_modules", "python_modules", "tests"}

KNOWN = {
    "$schema",
    "name",
    "main",
    "compatibility_date",
    "compatibility_flags",
    "vars",
    "kv_namespaces",
    "services",
    "limits",
    "tags",
    "dispatch_namespace",
    "observability",
    "logpush",
}


class ProjectInvalid(CloisterError):
    """The worker project cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is to be deployed. ``root`` is watched by `cloister dev`; modules lie in ``source``."""

    root: Path
    source: Path
    name: str
    main: str
    modules: list[Module]
    config: dict[str, Any] = field(default_factory=dict)


def read(path: Path) -> Project:
    """Read a single Python file, or a project directory.

    Raises:
        ProjectInvalid: there is no entry file, or the configuration is wrong.
    """
    if path.is_file():
        return _single_file(path)
    if not path.is_dir():
        raise ProjectInvalid(f"{path} does not exist.")
    config = _config(path)
    main = path / (config.get("main") or _find_entry(path))
    if not main.is_file():
        raise ProjectInvalid(f"{main} does not exist; `main` names the entry file.")
    return Project(
        root=path,
        source=main.parent,
        name=config.get("name") or _name(path.resolve().name),
        main=main.name,
        modules=list(_modules(main.parent)),
        config=config,
    )


def _single_file(path: Path) -> Project:
    if path.suffix != ".py":
        raise ProjectInvalid(f"{path} is not a .py file or a project directory.")
    # A file called entry.py or worker.py says nothing: its project does.
    named = path.resolve().parent if path.stem in ("entry", "worker") else path.resolve()
    module = Module(name=path.name, content_type=CONTENT_TYPES[".py"], data=path.read_bytes())
    return Project(
        root=path, source=path.parent, name=_name(named.stem), main=path.name, modules=[module]
    )


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-") or "worker"


def _find_entry(directory: Path) -> str:
    for name in ENTRY_NAMES:
        if (directory / name).is_file():
            return name
    raise ProjectInvalid(f"{directory} has no entry file: none of {', '.join(ENTRY_NAMES)}.")


def _modules(directory: Path) -> Iterator[Module]:
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory)
        if any(part in SKIPPED or part.startswith(".") for part in inside.parts):
            continue
        if path.is_file() and path.suffix in CONTENT_TYPES:
            yield Module(
                name=inside.as_posix(),
                content_type=CONTENT_TYPES[path.suffix],
                data=path.read_bytes(),
            )


def _config(directory: Path) -> dict[str, Any]:
    for name in CONFIG_NAMES:
        path = directory / name
        if path.is_file():
            try:
                text = path.read_text()
                config = tomllib.loads(text) if path.suffix == ".toml" else _jsonc(text)
            except ValueError as exc:
                raise ProjectInvalid(f"{path}: {exc}.") from exc
            return _checked(path, config)
    return {}


def _checked(path: Path, config: Any) -> dict[str, Any]:
    if not isinstance(config, dict):
        raise ProjectInvalid(f"{path} must hold an object.")
    if unknown := sorted(set(config) - KNOWN):
        raise ProjectInvalid(f"{path}: not supported: {', '.join(unknown)}.")
    return config


_JSONC = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)


def _jsonc(text: str) -> Any:
    """JSON with comments and trailing commas; strings are left alone."""
    without_comments = _JSONC.sub(lambda found: found[1] or "", text)
    # Once more: a comment may have stood between the last comma and its bracket.
    return json.loads(_JSONC.sub(lambda found: found[1] or "", without_comments))
