"""What a worker's ``observability`` says of its records holds in the executor."""

from typing import Any

import pytest
from executor_house import ACCOUNT, House, worker

from cloister.messages import tail_channel
from cloister.registry.observability import Observability, observability


def said(shared: House, namespace: str, **settings: Any) -> None:
    id_ = shared.registry.namespaces.get(ACCOUNT, namespace).id
    shared.registry.scripts.configure(id_, "hello", {"observability": settings})


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({}, 1),
        ({"observability": {"enabled": True}}, 1),
        ({"observability": {"enabled": True, "head_sampling_rate": 0.25}}, 0.25),
        ({"observability": {"enabled": False}}, 0),
        ({"observability": {"enabled": False, "logs": {"enabled": True}}}, 1),
        ({"observability": {"enabled": True, "logs": {"head_sampling_rate": 0.5}}}, 0.5),
    ],
)
def test_the_share_that_is_kept(settings: dict[str, Any], share: float) -> None:
    """All unless less is said; what is said of the log is before what is said of everything."""
    assert observability(settings) == Observability(kept_share=share)


def test_records_that_are_not_kept(shared: House, namespace: str) -> None:
    """Whoever watches sees them all the same; query strings are in no record if they are not to be.
    A change holds for the next request, with no other version."""
    version = shared.deploy(namespace, "hello", worker("return Response('hi')"))
    with shared.redis.pubsub(ignore_subscribe_messages=True) as watching:
        watching.subscribe(tail_channel(namespace, "hello"))
        watching.get_message(timeout=5)

        def told() -> bytes:
            shared.call(namespace, "hello", url="http://hello.localhost/a?key=hush")
            while (message := watching.get_message(timeout=10)) is None:
                pass
            data: bytes = message["data"]
            return data

        assert b"/a?key=" in told()
        assert len(shared.traces(namespace, "hello")) == 1
        said(shared, namespace, enabled=False, redact_query_string=True)
        shared.wait_for(lambda: b"/a?key=" not in told())
        kept = len(shared.traces(namespace, "hello"))
        assert b'/a"' in told()
        said(shared, namespace, enabled=True, redact_query_string=True)
        shared.wait_for(
            lambda: b"hello" in told() and len(shared.traces(namespace, "hello")) > kept
        )
        assert shared.traces(namespace, "hello")[0].event["request"]["url"].endswith("/a")
    route = shared.registry.resolve(namespace, "hello")
    assert route is not None
    assert route.version == version
