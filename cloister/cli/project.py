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
    "durable_objects",
    "migrations",
    "limits",
    "tags",
    "assets",
    "dispatch_namespace",
    "observability",
    "logpush",
}


class ProjectInvalid(CloisterError):
    """The worker project cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is to be deployed. ``root`` is watched by `cloister dev`; modules lie in ``source``.

    ``main`` is empty where there is no code. ``assets`` is the directory of static assets.
    """

    root: Path
    source: Path
    name: str
    main: str
    modules: list[Module]
    config: dict[str, Any] = field(default_factory=dict)
    assets: Path | None = None


def read(path: Path, assets: Path | None = None) -> Project:
    """Read a single Python file, or a project directory. ``assets`` replaces what its configuration
    says of their directory. A project that has some need not have code.

    Raises:
        ProjectInvalid: there is no entry file, or the configuration is wrong.
    """
    if path.is_file():
        return _single_file(path, assets)
    if not path.is_dir():
        raise ProjectInvalid(f"{path} does not exist.")
    config = _config(path)
    if assets is None and "directory" in config.get("assets", {}):
        assets = path / config["assets"]["directory"]
    main = _main(path, config, needed=assets is None)
    return Project(
        root=path,
        source=main.parent if main else path,
        name=config.get("name") or _name(path.resolve().name),
        main=main.name if main else "",
        modules=list(_modules(main.parent, assets)) if main else [],
        config=config,
        assets=assets,
    )


def _main(path: Path, config: dict[str, Any], *, needed: bool) -> Path | None:
    name = config.get("main") or _find_entry(path)
    if name is None and not needed:
        return None
    if name is None:
        raise ProjectInvalid(f"{path} has no entry file: none of {', '.join(ENTRY_NAMES)}.")
    if not (path / name).is_file():
        raise ProjectInvalid(f"{path / name} does not exist; `main` names the entry file.")
    return path / name


def _single_file(path: Path, assets: Path | None) -> Project:
    if path.suffix != ".py":
        raise ProjectInvalid(f"{path} is not a .py file or a project directory.")
    # A file called entry.py or worker.py says nothing: its project does.
    named = path.resolve().parent if path.stem in ("entry", "worker") else path.resolve()
    module = Module(name=path.name, content_type=CONTENT_TYPES[".py"], data=path.read_bytes())
    return Project(
        root=path,
        source=path.parent,
        name=_name(named.stem),
        main=path.name,
        modules=[module],
        assets=assets,
    )


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-") or "worker"


def _find_entry(directory: Path) -> str | None:
    return next((name for name in ENTRY_NAMES if (directory / name).is_file()), None)


def _modules(directory: Path, assets: Path | None) -> Iterator[Module]:
    apart = assets.resolve() if assets is not None else None
    if apart is not None and directory.resolve().is_relative_to(apart):
        apart = None  # code among assets: whoever uploads those refuses
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory)
        if apart is not None and path.resolve().is_relative_to(apart):
            continue
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
    if not isinstance(config.get("assets", {}), dict):
        raise ProjectInvalid(f"{path}: assets must be a table.")
    if unknown := sorted(set(config) - KNOWN):
        raise ProjectInvalid(f"{path}: not supported: {', '.join(unknown)}.")
    return config


_JSONC = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)


def _jsonc(text: str) -> Any:
    """JSON with comments and trailing commas; strings are left alone."""
    without_comments = _JSONC.sub(lambda found: found[1] or "", text)
    # Once more: a comment may have stood between the last comma and its bracket.
    return json.loads(_JSONC.sub(lambda found: found[1] or "", without_comments))
