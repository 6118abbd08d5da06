"""docs/bindings.md: each example of it is deployed as it stands there, and answers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from executor_house import ACCOUNT, House

from cloister.registry.secret_stores import NewSecret

PAGE = Path(__file__).parents[2] / "docs" / "bindings.md"
SECTIONS = {
    "KV": b'["Ada","pro",null,1]',
    "Cache": b"made just now",
    "Rate limits": b"hello",
    "Analytics Engine": b"noted",
    "Secrets stores": b"6 characters",
    "Version metadata": b'"timestamp"',
}


def blocks(section: str, kind: str) -> list[str]:
    text = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def real(shared: House, binding: dict[str, Any], name: str) -> dict[str, Any]:
    """The binding of an example, to something that is there."""
    if binding["type"] == "kv_namespace":
        made = shared.registry.kv.namespaces.create(ACCOUNT, name)
        return binding | {"namespace_id": made.id}
    if binding["type"] == "secrets_store_secret":
        store = shared.registry.secret_stores.create(ACCOUNT, name).id
        secret = NewSecret(name=binding["secret_name"], value="secret", scopes=["workers"])
        shared.registry.secret_stores.add(ACCOUNT, store, [secret])
        return binding | {"store_id": store}
    return binding


@pytest.mark.parametrize("section", SECTIONS)
def test_the_example_of(shared: House, namespace: str, section: str) -> None:
    """It runs, and says what its code says."""
    (source,) = blocks(section, "python")
    bindings = [real(shared, json.loads(text), namespace) for text in blocks(section, "json")]
    shared.deploy(namespace, "example", source, bindings=bindings)
    answers = [shared.call(namespace, "example") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert all(SECTIONS[section] in answer.body.replace(b", ", b",") for answer in answers)
