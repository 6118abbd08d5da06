"""Static assets as they are said: manifests, and the ``assets`` of an upload's metadata."""

from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from cloister.assets import FILE_BYTES, MAX_FILES, Config
from cloister.assets.config import HtmlHandling, NotFoundHandling
from cloister.registry.assets import Wanted
from control.errors import MANIFEST_INVALID, VALIDATION_FAILED, Refused
from control.rules import header_rules, redirect_rules

PATH_BYTES = 1_024
HASH_CHARACTERS = 64

WORKER_FIRST_RULES = 100
WORKER_FIRST_CHARACTERS = 100


class ConfigSaid(msgspec.Struct, frozen=True, kw_only=True):
    """How assets are to be served, for :func:`assets` to check."""

    html_handling: HtmlHandling | None = None
    not_found_handling: NotFoundHandling | None = None
    run_worker_first: bool | list[str] | None = None
    serve_directly: bool | None = None
    base_path: str | None = None
    headers: str | None = msgspec.field(default=None, name="_headers")
    redirects: str | None = msgspec.field(default=None, name="_redirects")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata's ``assets``, for :func:`assets` to check."""

    jwt: str | None = None
    config: ConfigSaid | None = None


class FileSaid(msgspec.Struct, frozen=True):
    """One file of a manifest."""

    hash: str
    size: int


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload says of its assets, checked. ``jwt`` is the completion token."""

    jwt: str | None = None
    config: Config | None = None
    warnings: list[str] = []


def manifest(said: Mapping[str, FileSaid]) -> list[Wanted]:
    """Check a manifest.

    Raises:
        Refused: it is too long, or a path, hash or size breaks a rule.
    """
    if len(said) > MAX_FILES:
        raise _invalid(f"It names {len(said)} files; a version has at most {MAX_FILES}.")
    sizes: dict[str, int] = {}
    for path, file in said.items():
        _check_path(path)
        if not (0 < len(file.hash) <= HASH_CHARACTERS and file.hash.isascii()) or (
            not file.hash.isalnum()
        ):
            raise _invalid(f"The hash of {path!r} must be 1 to {HASH_CHARACTERS} letters, digits.")
        if not 0 <= file.size <= FILE_BYTES:
            raise _invalid(
                f"{path!r} is said to have {file.size} bytes; a file has at most {FILE_BYTES}."
            )
        if sizes.setdefault(file.hash, file.size) != file.size:
            raise _invalid(f"The hash of {path!r} is that of a file of another size.")
    return [Wanted(path, file.hash, file.size) for path, file in said.items()]


def assets(value: object, pointer: str = "/assets") -> Chosen | None:
    """Check the metadata's ``assets``.

    Raises:
        Refused: naming the field at fault; or rules of ``_redirects`` or ``_headers`` that would
            loop, or are too many.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _wrong("assets must be an object.", pointer)
    jwt, config = value.get("jwt"), value.get("config")
    if jwt is not None and not isinstance(jwt, str):
        raise _wrong("jwt must be a string.", f"{pointer}/jwt")
    if config is None:
        return Chosen(jwt=jwt)
    if not isinstance(config, dict):
        raise _wrong("config must be an object.", f"{pointer}/config")
    return _configured(jwt, config, f"{pointer}/config")


def _configured(jwt: str | None, said: dict[str, Any], pointer: str) -> Chosen:
    handling = _one_of(said, "html_handling", HtmlHandling, pointer)
    not_found = _one_of(said, "not_found_handling", NotFoundHandling, pointer)
    redirects = redirect_rules.parse(_text(said, "_redirects", pointer), handling)
    headers = header_rules.parse(_text(said, "_headers", pointer))
    config = Config(
        html_handling=handling,
        not_found_handling=not_found,
        base_path=_base_path(said.get("base_path"), f"{pointer}/base_path"),
        static=redirects.static,
        dynamic=redirects.dynamic,
        headers=headers.rules,
        **_worker_first(said, f"{pointer}/run_worker_first"),
    )
    return Chosen(jwt=jwt, config=config, warnings=redirects.warnings + headers.warnings)


def _check_path(path: str) -> None:
    if not path.startswith("/") or len(path.encode()) > PATH_BYTES:
        raise _invalid(
            f"Path {path[:100]!r} must begin with / and have at most {PATH_BYTES} bytes."
        )
    if any(part in ("", ".", "..") for part in path.split("/")[1:]):
        raise _invalid(f"Path {path[:100]!r} has an empty segment, or one of dots.")
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise _invalid(f"Path {path[:100]!r} has a control character.")


def _one_of(said: dict[str, Any], name: str, kind: Any, pointer: str) -> Any:
    choices = get_args(kind)
    value = said.get(name)
    if value is None:
        return msgspec.structs.fields(Config)[Config.__struct_fields__.index(name)].default
    if value not in choices:
        raise _wrong(f"{name} must be one of {', '.join(choices)}.", f"{pointer}/{name}")
    return value


def _text(said: dict[str, Any], name: str, pointer: str) -> str:
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(f"{name} must be the text of that file.", f"{pointer}/{name}")
    return value


def _base_path(value: object, pointer: str) -> str:
    if value is None:
        return "/"
    if not isinstance(value, str) or not value.startswith("/") or len(value) > PATH_BYTES:
        raise _wrong("base_path must begin with a slash.", pointer)
    inside = value.strip("/")
    if any(part in ("", ".", "..") for part in inside.split("/")) and inside:
        raise _wrong("base_path has an empty segment, or one of dots.", pointer)
    return f"/{inside}/" if inside else "/"


def _worker_first(said: dict[str, Any], pointer: str) -> dict[str, Any]:
    value = said.get("run_worker_first")
    if value is None and isinstance(said.get("serve_directly"), bool):
        value = not said["serve_directly"]
    if value is None or isinstance(value, bool):
        return {"worker_first": bool(value)}
    if not isinstance(value, list) or not all(isinstance(rule, str) for rule in value):
        raise _wrong("run_worker_first must be true, false or a list of patterns.", pointer)
    if len(value) > WORKER_FIRST_RULES:
        raise _wrong(
            f"run_worker_first has {len(value)} rules; at most {WORKER_FIRST_RULES} are possible.",
            pointer,
        )
    for rule in value:
        if not rule.startswith(("/", "!/")) or len(rule) > WORKER_FIRST_CHARACTERS:
            raise _wrong(
                f"Rule {rule[:100]!r} of run_worker_first must begin with / or !/ and have at most "
                f"{WORKER_FIRST_CHARACTERS} characters.",
                pointer,
            )
    positive = [rule for rule in value if rule.startswith("/")]
    if not positive:
        raise _wrong("run_worker_first needs at least one rule that begins with /.", pointer)
    if len(set(value)) < len(value):
        raise _wrong("run_worker_first has a rule twice.", pointer)
    return {
        "worker_paths": positive,
        "asset_paths": [rule[1:] for rule in value if rule.startswith("!")],
    }


def _invalid(message: str) -> Refused:
    return Refused(MANIFEST_INVALID, f"The manifest is not valid. {message}", pointer="/manifest")


def _wrong(message: str, pointer: str) -> Refused:
    return Refused(VALIDATION_FAILED, message, pointer=pointer)
