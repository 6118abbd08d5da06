"""The rules of an upload, as tables: what is let through, and what is refused with which code."""

from typing import Any

import msgspec
import pytest

from cloister.errors import Invalid
from cloister.limits import Limits
from control.errors import Refused
from control.rules import bindings, egress, limits, metadata, modules, names, policies, tags
from control.upload import Part

DB = "0f7a3b1c-1234-4abc-9def-0123456789ab"
CEILING = Limits(cpu_ms=30_000, memory_mb=1_024, wall_ms=300_000, subrequests=10_000)


def code_of(caught: "pytest.ExceptionInfo[Refused]") -> int:
    return caught.value.faults[0].code


def pointer_of(caught: "pytest.ExceptionInfo[Refused]") -> str | None:
    return caught.value.faults[0].pointer


@pytest.mark.parametrize("name", ["a", "hello", "a-b-1", "a" * 63])
def test_script_names_let_through(name: str) -> None:
    """Host name labels that begin with a letter are names."""
    assert names.script_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "1a", "a-", "-a", "a_b", "a.b", "a" * 64, "a\n", "ü"])
def test_script_names_refused(name: str) -> None:
    """All else is refused with 10016."""
    with pytest.raises(Refused) as caught:
        names.script_name(name)
    assert code_of(caught) == 10016


@pytest.mark.parametrize(
    ("item", "code", "pointer"),
    [
        ({"type": "plain_text", "text": "x"}, 10052, "/bindings/0/name"),
        ({"type": "plain_text", "name": "", "text": "x"}, 10052, "/bindings/0/name"),
        ({"type": "plain_text", "name": "a-b", "text": "x"}, 10021, "/bindings/0/name"),
        ({"type": "plain_text", "name": "1a", "text": "x"}, 10021, "/bindings/0/name"),
        ({"type": "plain_text", "name": "__class__", "text": "x"}, 10021, "/bindings/0/name"),
        ({"type": "plain_text", "name": "A" * 256, "text": "x"}, 10100, "/bindings/0/name"),
        ({"type": "plain_text", "name": "A"}, 10021, "/bindings/0/text"),
        ({"type": "plain_text", "name": "A", "text": 1}, 10021, "/bindings/0/text"),
        ({"type": "plain_text", "name": "A", "text": "x" * 5121}, 10054, "/bindings/0/text"),
        ({"type": "plain_text", "name": "A", "text": "ü" * 2561}, 10054, "/bindings/0/text"),
        ({"type": "secret_text", "name": "A", "text": "x" * 5121}, 10054, "/bindings/0/text"),
        ({"type": "json", "name": "A"}, 10021, "/bindings/0/json"),
        ({"type": "json", "name": "A", "json": "x" * 5120}, 10054, "/bindings/0/json"),
        ({"type": "kv_namespace", "name": "A"}, 10021, "/bindings/0/namespace_id"),
        (
            {"type": "kv_namespace", "name": "A", "namespace_id": "no"},
            10042,
            "/bindings/0/namespace_id",
        ),
        ({"type": "service", "name": "A"}, 10021, "/bindings/0/service"),
        (
            {"type": "service", "name": "A", "service": "b", "environment": "x"},
            10144,
            "/bindings/0/environment",
        ),
        (
            {"type": "service", "name": "A", "service": "b", "environment": ["x"]},
            10144,
            "/bindings/0/environment",
        ),
        ({"type": "service", "name": "A", "service": "b", "props": 1}, 10021, "/bindings/0/props"),
        ({"type": "inherit", "name": "A", "version_id": ["x"]}, 10021, "/bindings/0/version_id"),
        ({"type": "inherit", "name": "A", "version_id": "x"}, 10021, "/bindings/0/version_id"),
        ({"type": "hyperdrive", "name": "A"}, 100153, "/bindings/0/type"),
        ({"type": "d1", "name": "A"}, 10021, "/bindings/0/database_id"),
        ({"type": "d1", "name": "A", "id": "x"}, 10021, "/bindings/0/database_id"),
        (
            {"type": "d1", "name": "A", "id": DB, "database_id": "0"},
            10021,
            "/bindings/0/database_id",
        ),
        ({"type": "teapot", "name": "A"}, 100153, "/bindings/0/type"),
        ({"name": "A"}, 100153, "/bindings/0/type"),
        ({"type": ["x"], "name": "A"}, 100153, "/bindings/0/type"),
        ("no", 10021, "/bindings/0"),
    ],
)
def test_bindings_refused(item: Any, code: int, pointer: str) -> None:
    """Each malformed binding has its code, and a pointer at the field at fault."""
    with pytest.raises(Refused) as caught:
        bindings.bindings([item])
    assert (code_of(caught), pointer_of(caught)) == (code, pointer)


def test_too_many_bindings_are_refused() -> None:
    """Of any type: as they come, and with those that a version keeps of the one before."""
    many = [{"type": "version_metadata", "name": f"B{index}"} for index in range(1_001)]
    assert len(bindings.bindings(many[1:])) == 1_000
    assert len(bindings.resolve(many[1:], ["version_metadata"], many[1:], strict=True)) == 1_000
    for refused in (
        lambda: bindings.bindings(many),
        lambda: bindings.resolve(many[:1], ["version_metadata"], many[1:], strict=True),
    ):
        with pytest.raises(Refused) as found:
            refused()
        assert code_of(found) == 10021


def test_unserved_binding_type_is_named() -> None:
    """A type of the product that is not served here is refused by its name."""
    with pytest.raises(Refused, match="'hyperdrive' are not available here"):
        bindings.bindings([{"type": "hyperdrive", "name": "DB", "id": "x"}])


def test_bindings_of_one_name_are_refused() -> None:
    """Duplicates are 10053, whatever their types."""
    with pytest.raises(Refused) as caught:
        bindings.bindings(
            [{"type": "plain_text", "name": "A", "text": ""}, {"type": "inherit", "name": "A"}]
        )
    assert (code_of(caught), pointer_of(caught)) == (10053, "/bindings/1/name")


def test_bindings_let_through_keep_only_known_fields() -> None:
    """What leaves has the fields of its type and nothing else."""
    given = [
        {"type": "plain_text", "name": "A", "text": "x" * 5120, "extra": 1},
        {"type": "kv_namespace", "name": "K", "namespace_id": "0" * 32, "preview": 1},
        {"type": "service", "name": "S", "service": "other", "environment": "production"},
        {"type": "d1", "name": "D", "id": DB, "database_name": "shop"},
        {"type": "d1", "name": "E", "database_id": DB},
    ]
    assert bindings.bindings(given) == [
        {"type": "plain_text", "name": "A", "text": "x" * 5120},
        {"type": "kv_namespace", "name": "K", "namespace_id": "0" * 32},
        {"type": "service", "name": "S", "service": "other"},
        {"type": "d1", "name": "D", "id": DB, "database_id": DB},
        {"type": "d1", "name": "E", "id": DB, "database_id": DB},
    ]


PREVIOUS = [
    {"type": "secret_text", "name": "KEY", "text": "hush"},
    {"type": "plain_text", "name": "A", "text": "1"},
    {"type": "plain_text", "name": "B", "text": "2"},
]


def test_inherit_and_keep() -> None:
    """``inherit`` takes by name or old name; kept types fill in; what is uploaded wins."""
    uploaded = bindings.bindings(
        [
            {"type": "inherit", "name": "KEY"},
            {"type": "inherit", "name": "C", "old_name": "B"},
            {"type": "plain_text", "name": "A", "text": "new"},
            {"type": "inherit", "name": "GONE"},
        ]
    )
    chosen = bindings.resolve(uploaded, ["plain_text"], PREVIOUS, strict=False)
    assert chosen == [
        PREVIOUS[0],
        {"type": "plain_text", "name": "C", "text": "2"},
        {"type": "plain_text", "name": "A", "text": "new"},
        {"type": "plain_text", "name": "B", "text": "2"},
    ]
    with pytest.raises(Refused, match="GONE"):
        bindings.resolve(uploaded, [], PREVIOUS, strict=True)


def test_secret_without_text_keeps_its_text() -> None:
    """What GET settings shows can be sent back; a new secret needs its text."""
    same = bindings.bindings([{"type": "secret_text", "name": "KEY"}])
    assert bindings.resolve(same, [], PREVIOUS, strict=True) == [PREVIOUS[0]]
    with pytest.raises(Refused, match="no text"):
        bindings.resolve(same, [], [], strict=True)


def test_too_many_variables() -> None:
    """128 variables are allowed, one more is 10055; kept ones count."""
    many = [{"type": "plain_text", "name": f"V{n}", "text": ""} for n in range(128)]
    assert len(bindings.resolve(many, [], [], strict=True)) == 128
    with pytest.raises(Refused) as caught:
        bindings.resolve(many, ["secret_text"], PREVIOUS, strict=True)
    assert code_of(caught) == 10055


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        ([], 10021, "/limits"),
        ({"cpu_ms": 0}, 10021, "/limits/cpu_ms"),
        ({"cpu_ms": True}, 10021, "/limits/cpu_ms"),
        ({"cpu_ms": 1.5}, 10021, "/limits/cpu_ms"),
        ({"cpu_ms": "5"}, 10021, "/limits/cpu_ms"),
        ({"cpu": 5}, 10021, "/limits/cpu"),
        ({"cpu_ms": 30_001}, 10206, "/limits/cpu_ms"),
        ({"memory_mb": 1_025}, 10206, "/limits/memory_mb"),
        ({"subrequests": 10_001}, 10206, "/limits/subrequests"),
    ],
)
def test_limits_refused(value: Any, code: int, pointer: str) -> None:
    """Unknown, malformed and too high limits are told apart."""
    with pytest.raises(Refused) as caught:
        limits.limits(value, CEILING)
    assert (code_of(caught), pointer_of(caught)) == (code, pointer)


def test_limits_let_through() -> None:
    """Whole numbers up to the ceiling; null says nothing."""
    said = limits.limits({"cpu_ms": 30_000.0, "subrequests": 0, "wall_ms": None}, CEILING)
    assert said == Limits(cpu_ms=30_000, subrequests=0)
    assert limits.as_dict(said) == {"cpu_ms": 30_000, "subrequests": 0}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([f"t{n}" for n in range(9)], 100103),
        (["x" * 256], 100102),
        (["a,b"], 10004),
        (["a&b"], 10004),
        (["a\n"], 10004),
        ([1], 10004),
        ("a", 10004),
    ],
)
def test_tags_refused(value: Any, code: int) -> None:
    """Too many, too long, with a separator, or not strings."""
    with pytest.raises((Refused, Invalid)) as caught:
        tags.tags(value)
    error = caught.value
    assert (error.faults[0].code if isinstance(error, Refused) else error.code) == code


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"compatibility_date": "2025-13-01"}, "/compatibility_date"),
        ({"compatibility_date": "20250101"}, "/compatibility_date"),
        ({"compatibility_date": 2025}, "/compatibility_date"),
        ({"compatibility_flags": "x"}, "/compatibility_flags"),
        ({"compatibility_flags": [1]}, "/compatibility_flags"),
        ({"main_module": 5}, "/main_module"),
        ({"body_part": "x"}, "/body_part"),
        ({"keep_bindings": True}, "/keep_bindings"),
        ({"bindings": {}}, "/bindings"),
        ({"assets": {"jwt": 5}}, "/assets/jwt"),
        ({"migrations": {"new_tag": 5}}, "/migrations"),
        ({"observability": []}, "/observability"),
        ({"logpush": "yes"}, "/logpush"),
        ([], None),
    ],
)
def test_metadata_refused(value: Any, pointer: str | None) -> None:
    """A malformed field is 10021 with a pointer at it."""
    with pytest.raises(Refused) as caught:
        metadata.metadata(value, CEILING)
    assert (code_of(caught), pointer_of(caught)) == (10021, pointer)


def test_metadata_says_only_what_it_says() -> None:
    """Missing and null fields are "not said"; unknown ones are ignored, known ones kept."""
    said = metadata.metadata({"main_module": "a.py", "tags": None, "new_field": 1}, CEILING)
    assert said == metadata.Metadata(main_module="a.py")
    kept = metadata.metadata({"logpush": False, "usage_model": "standard"}, CEILING).kept
    assert kept == {"logpush": False, "usage_model": "standard"}


def part(name: str, content_type: str | None, data: bytes = b"x") -> Part:
    return Part(name="files", filename=name, content_type=content_type, data=data)


@pytest.mark.parametrize(
    ("parts", "code", "words"),
    [
        ([], 10021, "not a part"),
        ([part("b.py", "text/x-python")], 10021, "not a part"),
        ([part("a.py", "text/plain")], 10021, "must be text/x-python"),
        ([part("a.py", "application/javascript+module")], 10021, "JavaScript"),
        ([part("a.py", "application/wasm")], 10021, "WebAssembly"),
        ([part("a.py", "text/html")], 10021, "not known"),
        ([part("a.py", "text/x-python"), part("r", "text/x-python-requirement")], 10021, "package"),
        ([part("a.py", "text/x-python")] * 2, 10006, "same name"),
        ([part("../a.py", "text/x-python")], 10006, "cannot be"),
        ([part("/a.py", "text/x-python")], 10006, "cannot be"),
    ],
)
def test_modules_refused(parts: list[Part], code: int, words: str) -> None:
    """What does not run here is refused with the reason."""
    with pytest.raises(Refused, match=words) as caught:
        modules.sources(parts, "a.py")
    assert code_of(caught) == code


def test_modules_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """All modules together are bounded."""
    monkeypatch.setattr(modules, "SCRIPT_BYTES", 10)
    parts = [part("a.py", "text/x-python", b"12345"), part("b.py", None, b"123456")]
    with pytest.raises(Refused) as caught:
        modules.sources(parts, "a.py")
    assert code_of(caught) == 10027


def test_unspecific_content_types() -> None:
    """curl's octet-stream and no type at all mean Python for ``.py``, data for the rest."""
    found = modules.sources(
        [part("a.py", None), part("pkg/b.py", "application/octet-stream"), part("c.bin", None)],
        "a.py",
    )
    assert [source.content_type for source in found] == [
        "text/x-python",
        "text/x-python",
        "application/octet-stream",
    ]


@pytest.mark.parametrize(
    "pattern", ["*", "api.example.com", "*.example.com", "EXAMPLE.com", "192.0.2.1", "2001:db8::1"]
)
def test_egress_patterns_let_through(pattern: str) -> None:
    """Hosts, domains, addresses and everything."""
    assert egress.patterns([pattern], "deny") == [pattern.lower()]


@pytest.mark.parametrize("pattern", ["a.*", "https://a.b", "a b", "*.*.c", "", "-a.b", "a..b"])
def test_egress_patterns_refused(pattern: str) -> None:
    """A pattern that would match nothing, or not what is meant, is refused."""
    with pytest.raises(Refused) as caught:
        egress.patterns([pattern], "deny")
    assert pointer_of(caught) == "/egress/deny/0"


def policy(**changes: Any) -> dict[str, Any]:
    return {
        "effect": "allow",
        "permission_groups": [{"id": policies.READ}],
        "resources": {f"{policies.ACCOUNT}acc": "*"},
        **changes,
    }


def test_policies_let_through() -> None:
    """A whole account or one namespace, for writing or reading."""
    whole = msgspec.convert([policy()], list[policies.Policy])
    assert policies.grant(whole, "acc") == policies.Grant(read_only=True)
    said = policy(
        permission_groups=[{"id": policies.WRITE}],
        resources={f"{policies.ACCOUNT}acc.dispatch.production": "*"},
    )
    one = msgspec.convert([said], list[policies.Policy])
    assert policies.grant(one, "acc") == policies.Grant(namespace="production")


@pytest.mark.parametrize(
    "value",
    [
        [],
        [policy(), policy()],
        [policy(effect="deny")],
        [policy(permission_groups=[])],
        [policy(permission_groups=[{"id": "everything"}])],
        [policy(resources={})],
        [policy(resources={f"{policies.ACCOUNT}other": "*"})],
        [policy(resources={f"{policies.ACCOUNT}acc.dispatch.": "*"})],
        [policy(resources={f"{policies.ACCOUNT}acc": {"zone": "*"}})],
        [policy(resources={"com.cloudflare.edge.r2": "*"})],
    ],
)
def test_policies_refused(value: Any) -> None:
    """A policy that cannot be kept to makes no token."""
    with pytest.raises(Refused):
        policies.grant(msgspec.convert(value, list[policies.Policy]), "acc")
