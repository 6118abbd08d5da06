"""What a version refers to for its assets: of a finished upload session, or of the live version."""

import hashlib
from collections.abc import Iterable

import msgspec

from cloister.assets import Config, File, Manifest, SiteRef, Stored
from cloister.assets.coding import compressed, is_compressible
from cloister.assets.manifest import decode_manifest, encode
from cloister.assets.types import guessed
from cloister.errors import NotFound
from cloister.registry import NamespaceView, NewVersion
from cloister.registry.assets import Usage
from control import asset_tokens
from control.errors import (
    ASSETS_BINDING_ALONE,
    ASSETS_MISSING,
    ASSETS_OVER_QUOTA,
    MANIFEST_MISSING,
    VALIDATION_FAILED,
    Refused,
    translated,
)
from control.house import house
from control.rules import bindings
from control.rules.assets import Chosen

GROUP_BYTES = 4 * 1024 * 1024
GROUP_FILES = 100
"""What is noted, and then written, at once."""


def prepared(data: bytes, content_type: str | None, guess: str) -> tuple[Stored, bytes]:
    """What a file's blob is to have: its bytes, and what they are in each coding worth it."""
    kind = guess if content_type is None else content_type
    made = compressed(data) if is_compressible(kind) else {}
    variants: dict[str, tuple[int, int]] = {}
    end = len(data)
    for coding, encoded in made.items():
        variants[coding] = (end, len(encoded))
        end += len(encoded)
    whole = b"".join((data, *made.values()))
    digest = hashlib.sha256(whole).hexdigest()
    etag = hashlib.sha256(data).hexdigest()[:32]
    return Stored(digest, len(data), etag, content_type, variants), whole


def keep(files: Iterable[tuple[str, tuple[Stored, bytes]]]) -> dict[str, Stored]:
    """Write files as they are prepared, by the uploader's hash, a few at a time."""
    kept: dict[str, Stored] = {}
    group: dict[str, bytes] = {}
    size = 0
    for name, (stored, whole) in files:
        kept[name] = stored
        group[stored.blob] = whole
        size += len(whole)
        if size >= GROUP_BYTES or len(group) >= GROUP_FILES:
            _write(group)
            group, size = {}, 0
    _write(group)
    return kept


def _write(group: dict[str, bytes]) -> None:
    """Each noted first: a blob of the same bytes may be about to be collected."""
    if group:
        house().registry.uploads.begin(*group)
    for digest, whole in group.items():
        house().blobs.put(f"asset/{digest}", whole)


def known(namespace_id: str, script: str) -> dict[str, Stored]:
    """The files that this script has, or was given, by the uploader's hash."""
    found = house().registry.assets.known(namespace_id, script)
    live = house().registry.scripts.uploaded(namespace_id, script)
    if live is not None and live.assets is not None:
        found.update({file.hash: file.stored for file in _files(live.assets)})
    return found


class Next(msgspec.Struct, frozen=True, kw_only=True):
    """What the next version's assets are to be. ``site`` new ones; else with ``keep`` the live
    ones, with ``config`` in place of theirs."""

    site: SiteRef | None = None
    keep: bool = False
    config: str | None = None

    def after(self, live: NewVersion | None) -> SiteRef | None:
        """The assets of the version that follows this one."""
        had = live.assets if live is not None and self.keep else None
        if self.site is not None or had is None or self.config is None:
            return self.site or had
        return msgspec.structs.replace(had, config=self.config)


def chosen(namespace: NamespaceView, script: str, said: Chosen | None, *, keep: bool) -> Next:
    """Take an upload by its word. Stores manifest and configuration.

    Raises:
        Refused: its completion token is none, is another script's, or files are still to come.
    """
    if said is None:
        return Next(keep=keep)
    config = _put("assetconfig", said.config or Config()) if said.config or said.jwt else None
    if said.jwt is None:
        if not keep:
            raise Refused(MANIFEST_MISSING, pointer="/assets/jwt")
        return Next(keep=True, config=config)
    manifest = _manifest(namespace, script, said.jwt)
    usage = usage_of(file.stored.size for file in manifest.files)
    check_quotas(namespace, script, usage)
    return Next(
        site=SiteRef(
            manifest=_put("manifest", manifest),
            config=config or "",
            files=usage.files,
            bytes=usage.bytes,
        )
    )


def usage_of(sizes: Iterable[int]) -> Usage:
    """Of files of these sizes."""
    listed = list(sizes)
    return Usage(len(listed), sum(listed))


def check_quotas(namespace: NamespaceView, script: str, wanted: Usage) -> None:
    """Whether a version may have so much, and with it the namespace, by what is live there.

    Raises:
        Refused: it is more than the operator allows.
    """
    settings = house().settings
    _check_quota("A version", wanted, Usage(settings.asset_files, settings.asset_bytes))
    allowed = Usage(settings.namespace_asset_files, settings.namespace_asset_bytes)
    if allowed.files or allowed.bytes:
        others = house().registry.assets.usage(namespace.id, without=script)
        both = Usage(others.files + wanted.files, others.bytes + wanted.bytes)
        _check_quota("The namespace", both, allowed)


def _check_quota(who: str, would: Usage, allowed: Usage) -> None:
    for number, most, what in (
        (would.files, allowed.files, "files"),
        (would.bytes, allowed.bytes, "bytes"),
    ):
        if most and number > most:
            raise Refused(
                ASSETS_OVER_QUOTA,
                f"{who} would have {number} {what} of assets; at most {most} are allowed.",
                pointer="/manifest",
            )


def check(
    site: SiteRef | None,
    env: list[bindings.Binding],
    said: Chosen | None,
    *,
    has_code: bool = True,
) -> None:
    """Refuse what asks for what is not there.

    Raises:
        Refused: a binding to assets without any; a worker that is to run first, and is none.
    """
    if site is None and any(item["type"] == "assets" for item in env):
        raise Refused(ASSETS_BINDING_ALONE, pointer="/bindings")
    config = said.config if said is not None else None
    if not has_code and config is not None and (config.worker_first or config.worker_paths):
        raise Refused(
            VALIDATION_FAILED,
            "Cannot set run_worker_first without a Worker script.",
            pointer="/assets/config/run_worker_first",
        )


def digest(site: SiteRef) -> str:
    """The digest of a version that is only assets."""
    return hashlib.sha256(f"{site.manifest} {site.config}".encode()).hexdigest()


def _manifest(namespace: NamespaceView, script: str, token: str) -> Manifest:
    registry = house().registry
    session_id = asset_tokens.session_of(token, namespace.account_id, "complete")
    try:
        session = registry.assets.find(session_id or "")
    except NotFound as exc:
        raise Refused(MANIFEST_MISSING, pointer="/assets/jwt") from exc
    if (session.namespace_id, session.script) != (namespace.id, script):
        raise Refused(MANIFEST_MISSING, pointer="/assets/jwt")
    with translated(MANIFEST_MISSING):
        registry.assets.hold(session.id)
    stored = registry.assets.finished(session)
    if stored is None:
        raise Refused(ASSETS_MISSING, pointer="/assets/jwt")
    return Manifest([_file(file.path, file.hash, stored[file.hash]) for file in session.files])


def _file(path: str, name: str, stored: Stored) -> File:
    kind = stored.content_type
    return File(path, name, stored, guessed(path) if kind is None else kind)


def _files(site: SiteRef) -> list[File]:
    return decode_manifest(house().blobs.get(f"manifest/{site.manifest}")).files


def _put(kind: str, value: msgspec.Struct) -> str:
    name, data = encode(value)
    house().registry.uploads.begin(name)
    house().blobs.put(f"{kind}/{name}", data)
    return name
