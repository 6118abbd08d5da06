"""Which parts of an upload are modules, and of what kind."""

from cloister.messages import Source
from control.errors import BAD_UPLOAD, SCRIPT_TOO_LARGE, VALIDATION_FAILED, Refused
from control.upload import Part

SCRIPT_BYTES = 64 * 1024 * 1024
PYTHON = "text/x-python"
DATA = ("text/plain", "application/octet-stream", "application/source-map")
UNSPECIFIC = (None, "application/octet-stream")
"""What clients send for a file whose type they do not know."""

_REASONS = {
    "text/x-python-requirement": "packages cannot be installed; upload their Python source instead",
    "application/wasm": "WebAssembly does not run here",
    "application/javascript": "JavaScript does not run here",
    "application/javascript+module": "JavaScript does not run here",
    "text/javascript": "JavaScript does not run here",
    "text/javascript+module": "JavaScript does not run here",
}


def sources(parts: list[Part], main_module: str) -> list[Source]:
    """The modules of an upload.

    Raises:
        Refused: none at all, two of one name, a kind that does not run here, too many bytes, or
            ``main_module`` is not a Python one of them.
    """
    found = [_source(part) for part in parts]
    if sum(len(source.data) for source in found) > SCRIPT_BYTES:
        raise Refused(SCRIPT_TOO_LARGE)
    by_name = {source.name: source for source in found}
    if len(by_name) != len(found):
        raise Refused(BAD_UPLOAD, "Two modules of the upload have the same name.")
    main = by_name.get(main_module)
    if main is None:
        names = ", ".join(sorted(by_name)) or "none"
        raise Refused(
            VALIDATION_FAILED,
            f"main_module {main_module!r} is not a part of the upload (its modules: {names}).",
            pointer="/main_module",
        )
    if main.content_type != PYTHON:
        raise Refused(
            VALIDATION_FAILED,
            f"main_module {main_module!r} is {main.content_type}; it must be {PYTHON}.",
            pointer="/main_module",
        )
    return found


def _source(part: Part) -> Source:
    name = part.module_name
    if name.startswith("/") or ".." in name.split("/") or "\\" in name:
        raise Refused(BAD_UPLOAD, f"{name!r} cannot be a module's name.")
    content_type = part.content_type
    if content_type in UNSPECIFIC:
        content_type = PYTHON if name.endswith(".py") else "application/octet-stream"
    if content_type != PYTHON and content_type not in DATA:
        reason = _REASONS.get(content_type or "", "its content type is not known here")
        raise Refused(VALIDATION_FAILED, f"Module {name!r} ({content_type}): {reason}.")
    return Source(name=name, content_type=content_type, data=part.data)
