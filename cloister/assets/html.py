"""``html_handling``: under which addresses the file ``/about.html`` or ``/shop/index.html`` is met.

Of each request's path a few candidates follow, tried in order: a file to serve here, or a file
whose proper address is another one, to redirect to.
"""

from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

from cloister.assets.config import HtmlHandling


class Candidate(NamedTuple):
    """A file that may be meant. ``address`` None: it is served here."""

    file: str
    address: str | None = None


class Found(NamedTuple):
    """The file meant, or else the address to redirect to."""

    file: str = ""
    redirect: str = ""


Candidates = Callable[[str], Iterator[Candidate]]


def find(path: str, handling: HtmlHandling, files: Container[str]) -> Found | None:
    """What a decoded path leads to; None if to nothing."""
    if handling == "none":
        return Found(path) if path in files else None
    candidates = _HANDLINGS[handling]
    for candidate in candidates(path):
        if candidate.file not in files:
            continue
        if candidate.address is None:
            return Found(candidate.file)
        if _serves(candidates, candidate.address, files) == candidate.file:
            return Found(redirect=candidate.address)
    return None


def _serves(candidates: Candidates, address: str, files: Container[str]) -> str | None:
    """The file served at an address, unless it is one of that very name: it comes first there."""
    if address in files:
        return None
    return next(
        (c.file for c in candidates(address) if c.address is None and c.file in files), None
    )


def _auto(path: str) -> Iterator[Candidate]:
    if path.endswith("/index"):
        directory = path.removesuffix("/index")
        yield Candidate(path)
        yield Candidate(f"{path}.html", f"{directory}/")
        yield Candidate(f"{directory}.html", directory)
    elif path.endswith("/index.html"):
        directory = path.removesuffix("/index.html")
        yield Candidate(path, f"{directory}/")
        yield Candidate(f"{directory}.html", directory)
    elif path.endswith("/"):
        yield Candidate(f"{path}index.html")
        yield Candidate(f"{path[:-1]}.html", path[:-1])
    elif path.endswith(".html"):
        stem = path.removesuffix(".html")
        yield Candidate(path, stem)
        yield Candidate(f"{stem}/index.html", f"{stem}/")
    yield Candidate(path)
    yield Candidate(f"{path}.html")
    yield Candidate(f"{path}/index.html", f"{path}/")


def _force(path: str) -> Iterator[Candidate]:
    if path.endswith("/index"):
        directory = path.removesuffix("/index")
        yield Candidate(path)
        yield Candidate(f"{path}.html", f"{directory}/")
        yield Candidate(f"{directory}.html", f"{directory}/")
    elif path.endswith("/index.html"):
        directory = path.removesuffix("/index.html")
        yield Candidate(path, f"{directory}/")
        yield Candidate(f"{directory}.html", f"{directory}/")
    elif path.endswith("/"):
        yield Candidate(f"{path}index.html")
        yield Candidate(f"{path[:-1]}.html")
    elif path.endswith(".html"):
        stem = path.removesuffix(".html")
        yield Candidate(path, f"{stem}/")
        yield Candidate(path)
        yield Candidate(f"{stem}/index.html", f"{stem}/")
    yield Candidate(path)
    yield Candidate(f"{path}.html", f"{path}/")
    yield Candidate(f"{path}/index.html", f"{path}/")


def _drop(path: str) -> Iterator[Candidate]:
    if path.endswith("/index"):
        directory = path.removesuffix("/index")
        yield Candidate(path)
        yield Candidate(f"{directory}.html", directory)
        yield Candidate(f"{path}.html", directory or "/")
    elif path.endswith("/index.html"):
        directory = path.removesuffix("/index.html")
        yield Candidate(path, directory or "/")
        yield Candidate(path)
        yield Candidate(f"{directory}.html", directory)
    elif path == "/":
        yield Candidate("/index.html")
    elif path.endswith("/"):
        yield Candidate(f"{path[:-1]}.html", path[:-1])
        yield Candidate(f"{path}index.html", path[:-1])
    elif path.endswith(".html"):
        stem = path.removesuffix(".html")
        yield Candidate(path, stem)
        yield Candidate(f"{stem}/index.html", stem)
    yield Candidate(path)
    yield Candidate(f"{path}.html")
    yield Candidate(f"{path}/index.html")


_HANDLINGS: dict[str, Candidates] = {
    "auto-trailing-slash": _auto,
    "force-trailing-slash": _force,
    "drop-trailing-slash": _drop,
}
