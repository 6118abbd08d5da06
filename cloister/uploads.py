"""Which files of an upload can be modules: one rule for the control API and `cloister check`."""

SCRIPT_BYTES = 64 * 1024 * 1024
"""All modules of a worker together."""

PYTHON = "text/x-python"
DATA = ("text/plain", "application/octet-stream", "application/source-map")
UNSPECIFIC = (None, "application/octet-stream")
"""What clients send for a file whose type they do not know."""

NO_HANDLERS = (
    "The script has no handlers: it defines no entrypoint class. "
    'Write "class Default(WorkerEntrypoint)" with a method fetch in the main module.'
)

_REASONS = {
    "text/x-python-requirement": "packages cannot be installed; upload their Python source instead",
    "application/wasm": "WebAssembly does not run here; upload Python source",
    "application/javascript": "JavaScript does not run here; upload Python source",
    "application/javascript+module": "JavaScript does not run here; upload Python source",
    "text/javascript": "JavaScript does not run here; upload Python source",
    "text/javascript+module": "JavaScript does not run here; upload Python source",
}


def bad_name(name: str) -> bool:
    """Whether this cannot be a module's name, whatever its type."""
    return name.startswith("/") or ".." in name.split("/") or "\\" in name


def kind(name: str, content_type: str | None) -> str:
    """The content type that a module counts as."""
    if content_type in UNSPECIFIC:
        return PYTHON if name.endswith(".py") else "application/octet-stream"
    return str(content_type)


def refusal(content_type: str) -> str | None:
    """Why a module of this type cannot be part of a worker, or None."""
    if content_type == PYTHON or content_type in DATA:
        return None
    return _REASONS.get(content_type, "its content type is not known here; use text/x-python")
