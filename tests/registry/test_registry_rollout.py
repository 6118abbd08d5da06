"""Who gets which of two live versions."""

from collections import Counter

import pytest

from cloister.registry.rollout import KEY_HEADER, OVERRIDE_HEADER, Share, Split, Traffic

OLD, NEW = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
KEYS = [f"visitor-{number}" for number in range(2_000)]


def split(new: float, script_id: str = "a" * 32) -> Split:
    traffic = Traffic([Share(NEW, new), Share(OLD, 100 - new)])
    return Split(script_id=script_id, script="hello", traffic=traffic)


def with_key(found: Split, key: str) -> str:
    return found.pick([("accept", "*/*"), (KEY_HEADER, key)])


@pytest.mark.parametrize("share", [0, 0.01, 10, 50, 90, 99.99, 100])
def test_shares_are_kept(share: float) -> None:
    """Draws and keys fall on the newer version as often as its share says."""
    drawn = Counter(split(share).pick() for _ in KEYS)
    keyed = Counter(with_key(split(share), key) for key in KEYS)
    for found in (drawn, keyed):
        assert abs(found[NEW] / len(KEYS) * 100 - share) < 6
        if share in (0, 100):
            assert found[OLD if share else NEW] == 0


def test_a_key_is_sticky() -> None:
    """The same key has the same version, and as the newer one's share grows never goes back; two
    scripts draw differently."""
    before: set[str] = set()
    for share in (0, 1, 10, 50, 99, 100):
        now = {key for key in KEYS if with_key(split(share), key) == NEW}
        assert now == {key for key in KEYS if with_key(split(share), key) == NEW}
        assert before <= now
        before = now
    other = {key for key in KEYS if with_key(split(50, "b" * 32), key) == NEW}
    assert other != {key for key in KEYS if with_key(split(50), key) == NEW}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f'hello="{NEW}"', NEW),
        (f'other="{OLD}", hello="{NEW}";a=1', NEW),
        (f'hello="{OLD}",hello="{NEW}"', NEW),
        ('hello="00000000-0000-4000-8000-000000000003"', OLD),
        (f'other="{NEW}"', OLD),
        (f"hello={NEW}", OLD),
        (f'Hello="{NEW}"', OLD),
        ('hello="', OLD),
        ("", OLD),
    ],
)
def test_an_override_names_a_live_version(said: str, expected: str) -> None:
    """It beats key and draw, for this script only; what is not live or not understood is passed
    over. A version of no percent can be asked for."""
    headers = [(KEY_HEADER, "someone"), (OVERRIDE_HEADER, said)]
    assert split(0).pick(headers) == expected


def test_repeated_fields_are_one_list() -> None:
    """A dictionary may come in several header fields."""
    headers = [(OVERRIDE_HEADER, f'other="{OLD}"'), (OVERRIDE_HEADER, f'hello="{NEW}"')]
    assert split(0).pick(headers) == NEW
