"""A version's assets, ready to answer: redirects first, then files, then headers."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from cloister.assets import html
from cloister.assets.coding import chosen
from cloister.assets.config import Config
from cloister.assets.fields import HeaderRules, Pairs
from cloister.assets.manifest import File, Manifest
from cloister.assets.patterns import Glob
from cloister.assets.ranges import Span, is_known, span_of
from cloister.assets.redirects import Redirects

CACHE_CONTROL = "public, max-age=0, must-revalidate"

NOT_FOUND, METHOD_NOT_ALLOWED, TEMPORARY_REDIRECT = 404, 405, 307
READING = frozenset({"GET", "HEAD"})

NOTHING = Span(0, 0)

_UNESCAPED = "-_.!~*'()"


class Asked(NamedTuple):
    """A request, as assets see it. ``path`` and ``query`` are as sent, header names lower case."""

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]


class Answer(NamedTuple):
    """A response. Its body is this ``span`` of the blob ``asset/{blob}``; none if that is empty."""

    status: int
    headers: Pairs
    blob: str = ""
    span: Span = NOTHING


class _Meant(NamedTuple):
    file: File
    status: int


class Site:
    """Answers requests; knows where a file's bytes lie, and reads none."""

    def __init__(self, manifest: Manifest, config: Config) -> None:
        self._files = {file.path: file for file in manifest.files}
        self._config = config
        self._base = config.base_path
        self._redirects = Redirects(config)
        self._header_rules = HeaderRules(config.headers)
        self._worker_paths = [Glob.of(each) for each in config.worker_paths]
        self._asset_paths = [Glob.of(each) for each in config.asset_paths]
        self.weight = 10 + len(self._files) + len(config.static) + len(config.dynamic)

    def route(self, asked: Asked, *, prefers_assets: bool) -> Answer | None:
        """The answer to a request for a worker that has these assets; None: run the worker.

        ``prefers_assets``: pages that a browser navigates to are assets even where there is none.
        """
        path, config = asked.path, self._config
        if any(glob.match(path) for glob in self._asset_paths):
            return self.answer(asked)
        if config.worker_first or any(glob.match(path) for glob in self._worker_paths):
            return None
        navigates = (
            prefers_assets
            and not self._worker_paths
            and asked.headers.get("sec-fetch-mode") == "navigate"
        )
        return self._answer(asked, config.not_found_handling if navigates else "none")

    def answer(self, asked: Asked) -> Answer:
        """The answer where there is nobody else to ask."""
        return self._answer(asked, self._config.not_found_handling) or self._with_rules(
            asked, NOT_FOUND, []
        )

    def _answer(self, asked: Asked, not_found: str) -> Answer | None:
        """The answer; None if there is neither redirect nor file."""
        path = asked.path
        redirect = self._redirects.find(asked.host, path, asked.query)
        if redirect is not None and redirect.status != 200:
            return self._with_rules(asked, redirect.status, [("location", redirect.location)])
        if redirect is not None:
            path = redirect.location
        found = self._found(path, not_found)
        if found is None:
            return self._with_rules(asked, NOT_FOUND, []) if redirect is not None else None
        if asked.method not in READING:
            return self._with_rules(asked, METHOD_NOT_ALLOWED, [("allow", "GET, HEAD")])
        if isinstance(found, str):
            return self._moved(asked, found)
        address = encoded(decoded(path))
        if redirect is None and found.status == 200 and address != path:
            return self._moved(asked, address)
        return self._file(asked, found)

    def _found(self, path: str, not_found: str) -> "_Meant | str | None":
        """The file meant by a path as sent, or the address to redirect to."""
        inside = self._inside(decoded(path))
        if inside is None:
            return None
        found = html.find(inside, self._config.html_handling, self._files)
        if found is None:
            return self._fallback(inside, not_found)
        if found.file:
            return _Meant(self._files[found.file], 200)
        return self._base[:-1] + encoded(found.redirect or "/")

    def _inside(self, path: str) -> str | None:
        """The path below ``base_path``; None if it is not there."""
        if path == self._base[:-1]:
            return "/"
        return path[len(self._base) - 1 :] if path.startswith(self._base) else None

    def _fallback(self, path: str, not_found: str) -> _Meant | None:
        if not_found == "single-page-application":
            file = self._files.get("/index.html")
            return _Meant(file, 200) if file else None
        if not_found == "404-page":
            directory = path
            while directory:
                directory = directory.rpartition("/")[0]
                if file := self._files.get(f"{directory}/404.html"):
                    return _Meant(file, NOT_FOUND)
        return None

    def _moved(self, asked: Asked, address: str) -> Answer:
        # One slash: with two, what follows would be another host.
        location = "/" + address.lstrip("/") + (f"?{asked.query}" if asked.query else "")
        return self._with_rules(asked, TEMPORARY_REDIRECT, [("location", location)])

    def _file(self, asked: Asked, meant: _Meant) -> Answer:
        stored, headers = meant.file.stored, asked.headers
        etag = f'"{stored.etag}"'
        coding = None
        if stored.variants and "range" not in headers and not self._header_rules.encode:
            coding = chosen(headers.get("accept-encoding", ""), stored.variants)
        fields = [("etag", f"W/{etag}" if coding else etag), ("x-content-type-options", "nosniff")]
        if meant.file.content_type:
            fields.append(("content-type", meant.file.content_type))
        if "authorization" not in headers and "range" not in headers:
            fields.append(("cache-control", CACHE_CONTROL))
        if meant.status == 200 and is_known(headers.get("if-none-match"), etag):
            return self._with_rules(asked, 304, fields, varies=bool(stored.variants))
        status, span = meant.status, Span(0, stored.size)
        if coding is not None:
            span = Span(*stored.variants[coding])
            fields.append(("content-encoding", coding))
        elif meant.status == 200:
            status, span = span_of(headers, etag, stored.size, fields, asked.method)
        fields.append(("content-length", str(span.length)))
        if asked.method == "HEAD":
            span = NOTHING
        return self._with_rules(
            asked, status, fields, stored.blob, span, varies=bool(stored.variants)
        )

    def _with_rules(
        self,
        asked: Asked,
        status: int,
        fields: Pairs,
        blob: str = "",
        span: Span = NOTHING,
        *,
        varies: bool = False,
    ) -> Answer:
        fields = self._header_rules.apply(asked.host, asked.path, fields)
        if varies:
            fields.append(("vary", "Accept-Encoding"))
        return Answer(status, fields, blob, span)


def asked_of(method: str, url: str, headers: Mapping[str, str]) -> Asked:
    """The request for a URL. Raises ValueError: it is none."""
    parts = urlsplit(url)
    return Asked(method, (parts.hostname or "").lower(), parts.path or "/", parts.query, headers)


def decoded(path: str) -> str:
    """A path without percent-encoding; as it is where that is not of UTF-8."""
    if "%" not in path and path.isascii():
        return path
    try:
        return unquote_to_bytes(path.encode("latin-1")).decode()
    except UnicodeError:
        return path


def encoded(path: str) -> str:
    """The one spelling under which a path is served."""
    return quote(path, safe="/" + _UNESCAPED)
