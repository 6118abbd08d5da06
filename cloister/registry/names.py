"""What may be a name. The registry is the last to check: what gets past here is a hostname."""

import re
import uuid
from collections.abc import Iterable

from cloister.errors import Invalid

NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""Scripts and namespaces: a DNS label, as they are parts of hostnames."""

NAME_CHARACTERS = 63

TITLE_CHARACTERS = 100
TAG_CHARACTERS = 255
TAGS = 8

NAME_INVALID = 10016
TAG_TOO_LARGE = 100102
TOO_MANY_TAGS = 100103


def plain_namespace(account_id: str) -> str:
    """Where an account's plain Workers are kept: a namespace of a name that none can be given, so
    that no host, path, endpoint or rule of a tenant's leads there."""
    return f"_{account_id}"


def is_plain(namespace: str) -> bool:
    """Whether it is one of those."""
    return namespace.startswith("_")


def new_id() -> str:
    """A fresh id: 32 hex digits."""
    return uuid.uuid4().hex


def new_uuid() -> str:
    """A fresh id in the form of a UUID with dashes."""
    return str(uuid.uuid4())


def check_name(name: str, what: str) -> str:
    """The name, if it may be one of a script or namespace.

    Raises:
        Invalid: it may not.
    """
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{what} {name[:64]!r} is not valid: up to 63 lower-case letters, digits and dashes, "
            "beginning with a letter and not ending with a dash.",
            code=NAME_INVALID,
        )
    return name


def check_title(title: str, what: str, characters: int = TITLE_CHARACTERS) -> str:
    """The title, if a person can read it.

    Raises:
        Invalid: it is empty, too long, or not printable.
    """
    if not title or len(title) > characters or not title.isprintable():
        raise Invalid(f"{what} must be 1 to {characters} printable characters.")
    return title


def check_tags(tags: Iterable[str]) -> list[str]:
    """The tags, sorted, each once.

    Raises:
        Invalid: there are too many, or one is empty, too long, or has what filters and paths need.
    """
    unique = sorted(set(tags))
    if len(unique) > TAGS:
        raise Invalid(f"A script has at most {TAGS} tags.", code=TOO_MANY_TAGS)
    for tag in unique:
        if not tag or len(tag) > TAG_CHARACTERS:
            raise Invalid(f"A tag has 1 to {TAG_CHARACTERS} characters.", code=TAG_TOO_LARGE)
        if not tag.isprintable() or set(tag) & set(",&"):
            raise Invalid(f"Tag {tag!r} has a character that a tag may not have.")
    return unique
