"""The head of a response as an isolate sends it, which is not believed."""

import re

from cloister.messages import Headers
from cloister.outcomes import Outcome
from executor.work import Ended

MAX_HEADERS_BYTES = 128 * 1024

_is_name = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_is_value = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch


def check_head(status: int, headers: Headers) -> None:
    """See to it that a response's head is one.

    Raises:
        Ended: it is not.
    """
    size = 0
    for name, value in headers:
        size += len(name) + len(value) + 4
        if not _is_name(name) or not _is_value(value):
            raise Ended(Outcome.EXCEPTION, "The response has an invalid header.")
        if size > MAX_HEADERS_BYTES:
            raise Ended(Outcome.EXCEPTION, "The response's headers are too large.")
    if not 200 <= status <= 599:
        raise Ended(Outcome.EXCEPTION, "The response's status is not valid.")
