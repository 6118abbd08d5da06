"""Tags of a worker."""

from cloister.registry.names import check_tags
from control.errors import MALFORMED_PARAMETER, Refused


def tags(value: object, pointer: str = "/tags") -> list[str]:
    """All tags of a worker, sorted, without repeats.

    Raises:
        Refused: not an array of strings.
        Invalid: too many, too long, or with a character that the filter needs.
    """
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(MALFORMED_PARAMETER, "Tags are an array of strings.", pointer=pointer)
    return check_tags(value)
