"""What the registry tells of R2: frozen values. Times are epoch milliseconds."""

from typing import Any, Literal, get_args

import msgspec

StorageClass = Literal["Standard", "InfrequentAccess"]
CLASSES: tuple[StorageClass, ...] = get_args(StorageClass)

RuleList = list[dict[str, Any]]
"""Rules of a bucket, as it keeps them."""


class BucketView(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket."""

    id: str
    account_id: str
    name: str
    location: str
    storage_class: StorageClass
    created_at: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """How full a bucket is. ``bytes`` is what it is charged for, unfinished uploads included."""

    objects: int
    bytes: int


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever puts an object says of it. ``http_metadata`` has the binding's names; its
    ``cacheExpiry`` is an ISO 8601 time."""

    http_metadata: dict[str, str]
    custom_metadata: dict[str, str]
    storage_class: StorageClass


class ObjectView(Said, frozen=True, kw_only=True):
    """What is known of an object. ``checksums`` are hex by algorithm; ``etag`` is the MD5, or of an
    object that came in parts something made of theirs."""

    key: str
    version: str
    size: int
    part_size: int = 0
    etag: str
    checksums: dict[str, str]
    uploaded_at: int


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that were just stored: the name of their blob, and what they are."""

    version: str
    size: int
    checksums: dict[str, str]

    @property
    def md5(self) -> str:
        """Their MD5 as hex."""
        return self.checksums["md5"]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Some bytes of a blob."""

    version: str
    start: int
    length: int


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Objects, and the prefixes that stand for others. ``cursor`` is None at the end."""

    objects: list[ObjectView]
    prefixes: list[str]
    cursor: str | None


def blob_key(version: str) -> str:
    """Where the bytes of a version are."""
    return f"objects/{version}"
