"""Expressions over a log: matching, named groups, substitution with a function."""

import re

SIZE = 1_200

LINE = re.compile(
    r"(?P<host>[\d.]+) - (?P<user>\S+) \[(?P<at>[^]]+)\] \"(?P<request>[^\"]*)\" (\d+)"
)
WORD = re.compile(r"\b[a-z]+\b")


def line(number):
    return (
        f"10.0.{number % 256}.{number % 13} - user{number % 17} [2024-05-{number % 28 + 1:02}] "
        f'"GET /path/{number}/index.html HTTP/1.1" {200 + number % 3}'
    )


def shout(match):
    word = match.group()
    return word.upper() if len(word) > 3 else word


def run(size):
    users, changed = {}, 0
    for number in range(size):
        match = LINE.match(line(number))
        user = match.group("user")
        users[user] = users.get(user, 0) + int(match.group(5))
        changed += len(WORD.sub(shout, match.group("request")).split("/"))
    return sorted(users.items()), changed
