"""Documents to text and back, and a walk through what came back."""

import json

SIZE = 60


def document(number):
    return {
        "id": number,
        "name": f"item {number}",
        "price": number * 1.25,
        "tags": ["a", "b", f"tag-{number % 7}"],
        "owner": {"email": f"u{number}@example.com", "active": number % 2 == 0, "note": None},
        "history": [{"at": i, "event": "changed"} for i in range(8)],
    }


def leaves(value):
    if isinstance(value, dict):
        return sum(leaves(item) for item in value.values())
    if isinstance(value, list):
        return sum(leaves(item) for item in value)
    return 1


def run(size):
    total = 0
    for start in range(size):
        text = json.dumps([document(start + i) for i in range(10)], sort_keys=True)
        back = json.loads(text)
        total += leaves(back) + len(text)
    return total
