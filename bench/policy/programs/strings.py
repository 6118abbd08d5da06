"""Text that is built, split, formatted and searched."""

SIZE = 1_000


def table(rows):
    lines = []
    for name, amount, share in rows:
        lines.append("{:<12}|{:>8.2f}|{:>6.1%}".format(name, amount, share))
    return "\n".join(lines)


def caesar(text, shift):
    letters = "abcdefghijklmnopqrstuvwxyz"
    moved = letters[shift:] + letters[:shift]
    return text.translate(str.maketrans(letters, moved))


def run(size):
    words = [f"word{number * 7 % 101}" for number in range(size)]
    rows = [(word, len(word) * 1.5 + i, i / size) for i, word in enumerate(words)]
    text = table(rows)
    padded = ", ".join(f"{word!r:>10}" for word in words)
    title = " ".join(part.strip("' ").capitalize() for part in padded.split(","))
    found = sum(1 for row in text.splitlines() if "word1" in row and row.endswith("%"))
    mixed = ""
    for word in words:
        mixed += word[0] + word[-1]
    return len(text), found, title[:40], caesar(mixed, 3)[:20], title.count("Word9")
