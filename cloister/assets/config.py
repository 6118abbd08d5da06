"""How a version's assets are served: the blob ``assetconfig/{digest}``."""

from typing import Literal

import msgspec

from cloister.errors import NotReady

HtmlHandling = Literal["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"]
NotFoundHandling = Literal["none", "404-page", "single-page-application"]


class Redirect(msgspec.Struct, frozen=True, array_like=True):
    """A rule of ``_redirects``. Status 200 serves another file instead of redirecting."""

    source: str
    target: str
    status: int


class HeaderRule(msgspec.Struct, frozen=True, array_like=True):
    """A rule of ``_headers``: names are lower case."""

    pattern: str
    set: list[tuple[str, str]] = []
    unset: list[str] = []


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is said of serving.

    ``worker_paths`` and ``asset_paths`` are the positive and the negative patterns of
    ``run_worker_first``, ``worker_first`` is its ``true``. ``base_path`` begins and ends with a
    slash. ``static`` are redirects without wildcards, tried before the ``dynamic`` ones.
    """

    html_handling: HtmlHandling = "auto-trailing-slash"
    not_found_handling: NotFoundHandling = "none"
    worker_first: bool = False
    worker_paths: list[str] = []
    asset_paths: list[str] = []
    base_path: str = "/"
    static: list[Redirect] = []
    dynamic: list[Redirect] = []
    headers: list[HeaderRule] = []


_decoder = msgspec.msgpack.Decoder(Config)


def decode_config(data: bytes | None) -> Config:
    """Undo :func:`cloister.assets.manifest.encode`. Raises NotReady: it is missing or damaged."""
    try:
        return _decoder.decode(data or b"")
    except msgspec.DecodeError as exc:
        raise NotReady("A configuration of assets is missing from the object store.") from exc
