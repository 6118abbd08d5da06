"""One deploy: parts and metadata in, a live version out. Nothing changes unless all of it holds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from flask import g, request

from cloister.assets import SiteRef
from cloister.bundles import encode_sources
from cloister.errors import NotFound, NotReady
from cloister.languages import Language
from cloister.limits import ceiling
from cloister.messages import CompileAnswer, Complaint, Source
from cloister.outcomes import ANSWERS, Kind, Outcome
from cloister.registry import NamespaceView, NewVersion, ScriptView, VersionView
from cloister.registry.names import is_plain, plain_namespace
from cloister.uploads import SCRIPT_BYTES
from control import bodies, sites, upload
from control.envelope import Fault
from control.errors import (
    BAD_UPLOAD,
    NAMESPACE_NOT_FOUND,
    NO_HANDLERS,
    SCRIPT_NOT_FOUND,
    SCRIPT_TOO_LARGE,
    VALIDATION_FAILED,
    VERSION_WITH_MIGRATION,
    Refused,
    translated,
)
from control.house import house
from control.rules import annotations, bindings, metadata, modules, services, tail_consumers

SLACK_BYTES = 1024 * 1024
"""What an upload may have on top of its modules: metadata and the parts' headers."""

MAX_COMPLAINTS = 100

CLIENTS = ("wrangler", "terraform")
"""Those that the product tells from others."""

Change = Callable[[NewVersion | None], NewVersion]


class UploadForm(msgspec.Struct, frozen=True):
    """``metadata`` as a part, which is JSON, and each module as one more."""

    metadata: metadata.UploadMetadata


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An upload received: checked metadata, and the parts that are modules."""

    said: metadata.Metadata
    parts: list[upload.Part]


@dataclass(frozen=True, kw_only=True)
class Code:
    """Modules stored and compiled."""

    digest: str
    main_module: str
    handlers: dict[str, list[str]]
    startup_ms: int
    warnings: list[str]

    def into(self, version: NewVersion) -> NewVersion:
        """The version with this code instead of its own."""
        return msgspec.structs.replace(
            version,
            digest=self.digest,
            main_module=self.main_module,
            handlers=self.handlers,
            startup_ms=self.startup_ms,
        )


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The :class:`bindings.World` of a script."""

    namespace: NamespaceView
    script: str

    def kv_exists(self, namespace_id: str) -> bool:
        """See :class:`bindings.World`."""
        try:
            house().registry.kv.namespaces.get(self.namespace.account_id, namespace_id)
        except NotFound:
            return False
        return True

    def database_exists(self, database_id: str) -> bool:
        """See :class:`bindings.World`."""
        try:
            found = house().registry.databases.get(self.namespace.account_id, database_id)
        except NotFound:
            return False
        return found.id == database_id

    def stored_secret_exists(self, store_id: str, name: str) -> bool:
        """See :class:`bindings.World`."""
        return house().registry.secret_stores.exists(self.namespace.account_id, store_id, name)

    def queue_exists(self, name: str) -> bool:
        """See :class:`bindings.World`."""
        found = house().registry.queues.find(self.namespace.account_id, name)
        return found is not None and self._may_name("queue", "queue_name", name)

    def bucket_exists(self, name: str) -> bool:
        """See :class:`bindings.World`."""
        try:
            house().registry.r2.get(self.namespace.account_id, name)
        except NotFound:
            return False
        return self._may_name("r2_bucket", "bucket_name", name)

    def _may_name(self, kind: str, field: str, name: str) -> bool:
        """Names can be guessed: a token of one namespace may bind only what is bound there."""
        if g.token.namespace is None:
            return True
        return house().registry.versions.is_bound(self.namespace.id, kind, field, name)

    def namespace_exists(self, name: str) -> bool:
        """See :class:`bindings.World`."""
        if not is_plain(self.namespace.name):
            return False
        try:
            house().registry.namespaces.find(self.namespace.account_id, name)
        except NotFound:
            return False
        return True

    def consumer_exists(self, script: str, namespace: str | None) -> bool:
        """See :class:`tail_consumers.World`. A token of one namespace names none outside of it."""
        place = namespace or plain_namespace(self.namespace.account_id)
        if g.token.namespace is not None and place != self.namespace.name:
            return False
        found = house().registry.namespace_view(place)
        mine = found is not None and found.account_id == self.namespace.account_id
        return mine and house().registry.resolve(place, script) is not None

    def is_itself(self, script: str, namespace: str | None) -> bool:
        """See :class:`tail_consumers.World`."""
        place = namespace or plain_namespace(self.namespace.account_id)
        return (place, script) == (self.namespace.name, self.script)

    def check(self, said: metadata.Metadata, had: NewVersion | None) -> None:
        """Refuse what points at nothing, or at what it may not point at."""
        bindings.check_targets(self, said.bindings or [])
        consumers = had.settings.get("tail_consumers", []) if had else []
        tail_consumers.check(self, said.kept.get("tail_consumers", []), consumers)

    def service(self, script: str) -> services.Target | None:
        """See :class:`services.World`. A token of one namespace means a Worker of that."""
        own = self.namespace.name
        plain = plain_namespace(self.namespace.account_id)
        for place in (plain, own) if g.token.namespace is None else (own,):
            if (place, script) == (own, self.script):
                return services.Target(is_plain=False, entrypoints=None)
            if (found := house().registry.resolve(place, script)) is not None:
                bundle = house().registry.bundle(found.version)
                named = frozenset(bundle.handlers) if bundle else None
                return services.Target(is_plain=place != own, entrypoints=named)
        return None


def receive() -> Upload:
    """Read an upload of modules and metadata.

    Raises:
        Refused: it breaks a rule; see :mod:`control.upload` and :mod:`control.rules`.
    """
    parts = upload.receive(SCRIPT_BYTES + SLACK_BYTES, SCRIPT_TOO_LARGE)
    described = [part for part in parts if part.name == "metadata"]
    if len(described) != 1:
        raise Refused(BAD_UPLOAD, "The upload needs exactly one part named metadata.")
    value = bodies.decode_json(described[0].data, VALIDATION_FAILED)
    said = metadata.metadata(value, ceiling(house().settings))
    return Upload(said=said, parts=[part for part in parts if part.name != "metadata"])


def compiled(received: Upload, env: list[bindings.Binding], language: Language) -> Code:
    """Store the modules and have them compiled, and tried with these bindings.

    Raises:
        Refused: the compiler or the top-level code refuses them; with every complaint.
        NotReady: no executor answered.
    """
    said = received.said
    main = said.main_module or request.headers.get("CF-WORKER-MAIN-MODULE-PART")
    main = metadata.required_main_module(msgspec.structs.replace(said, main_module=main))
    return _compile(modules.sources(received.parts, main), main, env, language)


def put_script(namespace: NamespaceView, name: str, *, strict: bool) -> tuple[ScriptView, Code]:
    """Handle a whole upload. ``strict``: an ``inherit`` that finds nothing refuses it."""
    received = receive()
    live = house().registry.scripts.uploaded(namespace.id, name)
    next_version, code = _prepared(namespace, name, received, live, strict=strict)
    with translated(NAMESPACE_NOT_FOUND):
        view = house().registry.scripts.put_version(
            namespace.id,
            name,
            next_version,
            tags=received.said.tags,
            migration=received.said.migration,
        )
    return view, code


def add_version(namespace: NamespaceView, name: str, *, strict: bool) -> tuple[VersionView, Code]:
    """Handle the upload of a version that does not become live. What it inherits or keeps is of the
    newest one."""
    with translated(SCRIPT_NOT_FOUND):
        newest = house().registry.scripts.newest(namespace.id, name)  # before the upload is read
    received = receive()
    annotations.check(received.said.kept)
    if received.said.migration is not None:
        raise Refused(VERSION_WITH_MIGRATION, pointer="/migrations")
    next_version, code = _prepared(namespace, name, received, newest, strict=strict)
    with translated(SCRIPT_NOT_FOUND):
        version = house().registry.scripts.add_version(namespace.id, name, next_version)
    return version, code


def _prepared(
    namespace: NamespaceView, name: str, received: Upload, live: NewVersion | None, *, strict: bool
) -> tuple[Change, Code]:
    """The code of an upload, compiled, and what makes a version of it and the one before."""
    said = received.said
    Surroundings(namespace=namespace, script=name).check(said, live)

    def bound(live: NewVersion | None) -> list[bindings.Binding]:
        had = live.bindings if live else []
        return bindings.resolve(said.bindings or [], said.keep_bindings, had, strict=strict)

    assets = sites.chosen(namespace, name, said.assets, keep=said.keep_assets)
    # What is inherited is read again in the transaction that writes the version.
    code = _code(received, bound(live), assets.after(live), namespace.language)

    def next_version(live: NewVersion | None) -> NewVersion:
        return NewVersion(
            digest=code.digest,
            main_module=code.main_module,
            handlers=code.handlers,
            startup_ms=code.startup_ms,
            assets=assets.after(live),
            bindings=bound(live),
            settings=said.kept,
            source=client(),
            compatibility_date=said.compatibility_date or metadata.OLDEST_DATE,
            compatibility_flags=said.compatibility_flags or [],
            **({} if said.limits is None else {"limits": said.limits}),
        )

    return next_version, code


def client() -> str:
    """Which client asks: wrangler warns before it overwrites what another one did."""
    name = request.headers.get("User-Agent", "").partition("/")[0]
    return name if name in CLIENTS else "api"


def _code(
    received: Upload, env: list[bindings.Binding], site: SiteRef | None, language: Language
) -> Code:
    """The code of an upload, which may be none where there are assets."""
    said = received.said
    has_code = bool(said.main_module or received.parts) or site is None
    sites.check(site, env, said.assets, has_code=has_code)
    if has_code or site is None:
        code = compiled(received, env, language)
    else:
        code = Code(
            digest=sites.digest(site), main_module="", handlers={}, startup_ms=0, warnings=[]
        )
    noted = said.assets.warnings if said.assets is not None else []
    return replace(code, warnings=code.warnings + noted)


def patch_settings(namespace: NamespaceView, name: str, value: Any) -> ScriptView:
    """Change what ``value`` names of a script's configuration; the code stays. What is no part of a
    version makes none."""
    said = metadata.metadata(value, ceiling(house().settings))
    if said.assets is not None:
        raise Refused(VALIDATION_FAILED, "assets come with an upload only.", pointer="/assets")
    if said.migration is not None:
        raise Refused(VERSION_WITH_MIGRATION, pointer="/migrations")
    had = house().registry.scripts.uploaded(namespace.id, name)
    Surroundings(namespace=namespace, script=name).check(said, had)
    if said.is_unversioned:
        with translated(SCRIPT_NOT_FOUND):
            return house().registry.scripts.configure(namespace.id, name, said.kept, tags=said.tags)

    def next_version(live: NewVersion) -> NewVersion:
        changes: dict[str, Any] = {"settings": live.settings | said.kept}
        if said.bindings is not None:
            changes["bindings"] = bindings.resolve(
                said.bindings, said.keep_bindings, live.bindings, strict=True
            )
        for field in ("limits", "compatibility_date", "compatibility_flags"):
            if getattr(said, field) is not None:
                changes[field] = getattr(said, field)
        sites.check(live.assets, changes.get("bindings", []), None)
        return msgspec.structs.replace(live, **changes)

    with translated(SCRIPT_NOT_FOUND):
        return house().registry.scripts.revise(namespace.id, name, next_version, tags=said.tags)


def _compile(
    sources: list[Source], main: str, env: list[bindings.Binding], language: Language
) -> Code:
    digest, data = encode_sources(sources)
    house().registry.uploads.begin(digest)
    house().blobs.put(f"source/{digest}", data)
    answer = house().compiler.compile(digest, main, env, language)
    if answer.errors:
        raise Refused(VALIDATION_FAILED, faults=_faults(answer.errors))
    if answer.failure is not None:
        raise _failed(answer.failure)
    if not answer.handlers and not answer.named_handlers:
        raise Refused(NO_HANDLERS)
    return Code(
        digest=digest,
        main_module=main,
        handlers=_handlers(answer),
        startup_ms=answer.startup_ms,
        warnings=[_sentence(warning) for warning in answer.warnings],
    )


def _handlers(answer: CompileAnswer) -> dict[str, list[str]]:
    default = {"Default": answer.handlers} if answer.handlers else {}
    return default | answer.named_handlers


def _failed(outcome: Outcome) -> Exception:
    answer = ANSWERS.get(outcome)
    if answer is None or answer.kind in {Kind.PLATFORM, Kind.CLIENT}:
        return NotReady("The script could not be compiled: the executor failed. Try again.")
    return Refused(
        VALIDATION_FAILED,
        f"The top-level code failed ({outcome.value}): {answer.title}.",
    )


def _faults(complaints: list[Complaint]) -> list[Fault]:
    shown = [Fault(VALIDATION_FAILED.code, _sentence(each)) for each in complaints[:MAX_COMPLAINTS]]
    left = len(complaints) - len(shown)
    return shown + ([Fault(VALIDATION_FAILED.code, f"... and {left} more.")] if left else [])


def _sentence(complaint: Complaint) -> str:
    place = ":".join(
        str(part) for part in (complaint.module, complaint.line, complaint.column) if part
    )
    return f"{place}: {complaint.message}" if place else complaint.message
