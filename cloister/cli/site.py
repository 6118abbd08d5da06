"""A directory of static assets on disk: which of its files are uploaded, and as what."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

from cloister.assets import FILE_BYTES, MAX_FILES
from cloister.assets.types import guessed
from cloister.cli.project import ProjectInvalid

IGNORE_FILE = ".assetsignore"
RULE_FILES = ("_headers", "_redirects")
"""Sent as text with the deploy, if they are at the top."""

NEVER = (
    *(f"/{name}" for name in (IGNORE_FILE, *RULE_FILES)),
    *(".git", ".wrangler", ".cloister", ".DS_Store", ".env", ".env.*", ".dev.vars", ".dev.vars.*"),
    *("__pycache__", "node_modules", "/wrangler.toml", "/wrangler.json", "/wrangler.jsonc"),
    "/cloister.toml",
)
"""What is no page of anybody's, and often a secret."""

CODE = frozenset({"_worker.js", "_worker.py", "entry.py", "worker.py"})
"""Names at the top that are the worker's code, and would be served to everybody."""

CONFIGURED = ("html_handling", "not_found_handling", "run_worker_first", "base_path")

READ_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file. ``path`` is its address; ``hash`` is of its content and type."""

    path: str
    file: Path
    size: int
    hash: str
    content_type: str

    def read(self) -> bytes:
        """Its content."""
        with _opened(self.file) as content:
            return bytes(content.read())


@dataclass(frozen=True, kw_only=True)
class Site:
    """What is to be uploaded, and how it is to be served."""

    assets: list[Asset]
    links: int
    """Symbolic links that were left out."""
    config: dict[str, Any] = field(default_factory=dict)
    binding: str | None = None


def read(directory: Path, said: dict[str, Any], code: Path | None = None) -> Site:
    """Read a directory. ``said`` is the project's ``assets`` table, ``code`` its main module.

    Links are not followed: one could lead anywhere on this machine.

    Raises:
        ProjectInvalid: there is no such directory; it has too many files, or one too large; or the
            worker's code is in it.
    """
    if not directory.is_dir():
        raise ProjectInvalid(f"The assets directory {directory} does not exist.")
    directory = directory.resolve()
    ignored = GitIgnoreSpec.from_lines([*NEVER, *_lines(directory / IGNORE_FILE)])
    found: list[Asset] = []
    links = 0
    for file in _walk(directory, directory, ignored):
        if file.is_symlink():
            links += 1
            continue
        if len(found) == MAX_FILES:
            raise ProjectInvalid(
                f"Maximum number of assets exceeded: {directory} has more than {MAX_FILES} files."
            )
        if file.relative_to(directory).as_posix() in CODE or file == code:
            raise ProjectInvalid(
                f"{file} looks like the worker's own code; as an asset everybody could read it. "
                f"Move it, or name it in {IGNORE_FILE}."
            )
        found.append(_asset(directory, file))
    config = {name: said[name] for name in CONFIGURED if name in said}
    for name in RULE_FILES:
        if lines := _lines(directory / name):
            config[name] = "\n".join(lines)
    return Site(assets=found, links=links, config=config, binding=said.get("binding"))


def _walk(top: Path, directory: Path, ignored: GitIgnoreSpec) -> Iterator[Path]:
    for entry in sorted(directory.iterdir()):
        name = entry.relative_to(top).as_posix()
        is_directory = entry.is_dir() and not entry.is_symlink()
        if ignored.match_file(f"{name}/" if is_directory else name):
            continue
        if is_directory:
            yield from _walk(top, entry, ignored)
        elif entry.is_symlink() or entry.is_file():
            yield entry


def _asset(top: Path, file: Path) -> Asset:
    name = file.relative_to(top).as_posix()
    kind = guessed(name)
    digest = hashlib.sha256()
    with _opened(file) as content:
        size = os.fstat(content.fileno()).st_size
        if size > FILE_BYTES:
            raise ProjectInvalid(
                f"Asset too large: {file} has {size} bytes; a file has at most {FILE_BYTES}."
            )
        while piece := content.read(READ_BYTES):
            digest.update(piece)
    digest.update(f"\0{kind}".encode())
    return Asset(
        path=f"/{name}", file=file, size=size, hash=digest.hexdigest()[:32], content_type=kind
    )


def _opened(file: Path) -> Any:
    """A regular file, opened without following a link that has taken its place meanwhile."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as exc:
        raise ProjectInvalid(f"{file} cannot be read: {exc.strerror}.") from exc
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ProjectInvalid(f"{file} is not a file any more.")
    return os.fdopen(descriptor, "rb")


def _lines(file: Path) -> list[str]:
    if file.is_symlink() or not file.is_file():
        return []
    try:
        return file.read_text().splitlines()
    except UnicodeDecodeError as exc:
        raise ProjectInvalid(f"{file} is not UTF-8.") from exc
