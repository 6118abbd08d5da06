"""Which parts of an upload are modules, and of what kind."""

from cloister import uploads
from cloister.messages import Source
from cloister.uploads import PYTHON, SCRIPT_BYTES
from control.errors import BAD_UPLOAD, SCRIPT_TOO_LARGE, VALIDATION_FAILED, Refused
from control.upload import Part


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
    if uploads.bad_name(name):
        raise Refused(BAD_UPLOAD, f"{name!r} cannot be a module's name.")
    content_type = uploads.kind(name, part.content_type)
    if reason := uploads.refusal(content_type):
        raise Refused(VALIDATION_FAILED, f"Module {name!r} ({content_type}): {reason}.")
    return Source(name=name, content_type=content_type, data=part.data)
