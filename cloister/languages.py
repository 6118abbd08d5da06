"""The two languages of workers. Which one a namespace has is the operator's decision.

``restricted`` is Python behind both walls: the language policy and the kernel's cell. ``full`` is
plain CPython behind the kernel's cell alone. Whatever says neither word is refused.
"""

from typing import Literal, get_args

from cloister.errors import Invalid

Language = Literal["restricted", "full"]

RESTRICTED: Language = "restricted"
FULL: Language = "full"

LANGUAGES: tuple[Language, ...] = get_args(Language)


def known(word: str) -> Language:
    """The language of that name.

    Raises:
        Invalid: there is none.
    """
    for language in LANGUAGES:
        if word == language:
            return language
    raise Invalid(f"No language is called {word[:64]!r}: there are {' and '.join(LANGUAGES)}.")
