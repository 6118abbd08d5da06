"""The rules of ``_headers``, applied to responses."""

from cloister.assets.config import HeaderRule
from cloister.assets.patterns import compiled, substituted
from cloister.assets.quoting import quoted

Pairs = list[tuple[str, str]]

VALUE_CHARACTERS = 8 * 1024
"""Longest value of a field: a visitor chooses how long what stands for a wildcard is."""

ALL_CHARACTERS = 64 * 1024
"""All values that rules set; what is more is left out."""


class HeaderRules:
    """Every rule that matches counts, in their order.

    Attributes:
        encode: whether one of them says how files are encoded, so that nothing else may.
    """

    def __init__(self, rules: list[HeaderRule]) -> None:
        self._rules = [(compiled(rule.pattern), rule) for rule in rules]
        self.encode = any(name == "content-encoding" for rule in rules for name, _ in rule.set)

    def apply(self, host: str, path: str, fields: Pairs) -> Pairs:
        """The fields after the rules for that address: the first value set for a name replaces
        ours, further ones are added to it."""
        set_by_rules: set[str] = set()
        left = ALL_CHARACTERS
        for pattern, rule in self._rules:
            captures = pattern.match(host, path)
            if captures is None:
                continue
            captures = {name: quoted(value) for name, value in captures.items()}
            fields = [field for field in fields if field[0] not in rule.unset]
            for name, text in rule.set:
                value = substituted(text, captures, min(VALUE_CHARACTERS, left))
                if value is None:
                    continue
                left -= len(value)
                _set(fields, name, value, joined=name in set_by_rules)
                set_by_rules.add(name)
        return fields


def _set(fields: Pairs, name: str, value: str, *, joined: bool) -> None:
    for at, (known, old) in enumerate(fields):
        if known == name:
            fields[at] = name, f"{old}, {value}" if joined else value
            return
    fields.append((name, value))
