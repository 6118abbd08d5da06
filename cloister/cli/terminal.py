"""Strangers' text on a terminal: what could steer it is written out instead."""


def visible(content: str) -> str:
    """The text with its control characters written out, line ends and tabs apart."""
    return "".join(
        each if each in "\n\t" or each.isprintable() else ascii(each)[1:-1] for each in content
    )
