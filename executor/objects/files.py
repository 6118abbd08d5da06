"""The directory of objects' files: ``CLASS/ID/``, and which directory it is."""

import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

HOME = "home"

ASKED_AT_ONCE = 500


def make(directory: Path) -> None:
    """See to it that it is there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def home(directory: Path) -> str:
    """The id of this directory, made once, whoever comes first."""
    make(directory)
    path = directory / HOME
    made = directory / f"{HOME}.{uuid.uuid4()}"
    made.write_text(str(uuid.uuid4()))
    try:
        path.hardlink_to(made)
    except FileExistsError:
        pass
    finally:
        made.unlink()
    return path.read_text()


def sweep(directory: Path, exist: Callable[[Sequence[str]], set[str]]) -> None:
    """Remove the files of classes that there are no more. Where none is known, the registry may be
    another one: then nothing is removed."""
    names = [entry.name for entry in directory.iterdir() if entry.is_dir()]
    known: set[str] = set()
    for start in range(0, len(names), ASKED_AT_ONCE):
        known |= exist(names[start : start + ASKED_AT_ONCE])
    if known:
        for name in set(names) - known:
            shutil.rmtree(directory / name, ignore_errors=True)
