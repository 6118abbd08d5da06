"""Two live versions: who gets which, by whose word."""

from collections import Counter
from collections.abc import Callable

import pytest
from dispatcher_rig import Dispatcher, eventually

from cloister.registry.rollout import Share

VISITORS = [f"visitor-{number}" for number in range(60)]


class Rollout:
    """A worker with versions, and what is asked of it."""

    def __init__(self, dispatcher: Dispatcher, name: str) -> None:
        self.dispatcher, self.name = dispatcher, name
        view = dispatcher.registry.namespace_view("production")
        assert view is not None
        self.namespace = view.id
        dispatcher.deploy("production", name)
        self.old = dispatcher.registry.scripts.get(self.namespace, name).version_id
        self.new = self.add()

    def add(self) -> str:
        scripts = self.dispatcher.registry.scripts
        return scripts.add_version(self.namespace, self.name, lambda newest: newest).id

    def deploy(self, new: float) -> None:
        """Give the new version so many percent."""
        shares = [Share(self.new, new), Share(self.old, 100 - new)]
        made = self.dispatcher.registry.deployments.create(self.namespace, self.name, shares)
        expected = {share.version_id for share in made.versions if share.percentage}
        eventually(lambda: {self.ask() for _ in range(12)} <= expected, "the deployment")

    def ask(self, *headers: str, path: str = "/") -> str:
        """The version that answers such a request."""
        answer = self.dispatcher.request(f"{self.name}.localhost", path, headers=headers)
        assert answer.status == 200
        return self.dispatcher.executor.invocations(self.name)[-1].version


@pytest.fixture
def rollout(dispatcher: Dispatcher) -> Rollout:
    return Rollout(dispatcher, "rolled")


def test_draws_follow_the_percentages(rollout: Rollout) -> None:
    """None at 0, all at 100, and both at 50."""
    rollout.deploy(0)
    assert {rollout.ask() for _ in range(20)} == {rollout.old}
    rollout.deploy(100)
    assert {rollout.ask() for _ in range(20)} == {rollout.new}
    rollout.deploy(50)
    assert {rollout.ask() for _ in range(40)} == {rollout.old, rollout.new}


def test_a_key_is_sticky(rollout: Rollout) -> None:
    """Who sends the same key gets the same version, and keeps the new one as it gets more."""
    rollout.deploy(30)
    key = "Cloudflare-Workers-Version-Key: {}".format
    first = {who: rollout.ask(key(who)) for who in VISITORS}
    assert set(first.values()) == {rollout.old, rollout.new}
    assert first == {who: rollout.ask(key(who)) for who in VISITORS}
    rollout.deploy(70)
    then = {who: rollout.ask(key(who)) for who in VISITORS}
    assert Counter(then.values())[rollout.new] > Counter(first.values())[rollout.new]
    assert all(then[who] == rollout.new for who in VISITORS if first[who] == rollout.new)


def test_clients_override_nothing(rollout: Rollout) -> None:
    """The header of a client is dropped, also one that Connection names or whose case is odd."""
    rollout.deploy(0)
    said = f'{rollout.name}="{rollout.new}"'
    for headers in (
        (f"Cloudflare-Workers-Version-Overrides: {said}",),
        (f"CLOUDFLARE-WORKERS-VERSION-OVERRIDES: {said}", "Connection: x"),
        (f"Cloudflare_Workers_Version_Overrides: {said}",),
    ):
        assert rollout.ask(*headers) == rollout.old
        sent = rollout.dispatcher.executor.invocations(rollout.name)[-1].headers
        assert not any("override" in name for name, _ in sent)


def test_the_operator_does(start: Callable[..., Dispatcher]) -> None:
    """The dispatch worker names a version in that header, or in its call; only such as are there,
    and of the worker that it calls."""
    own = start(dispatch_worker="dispatcher_workers:Versions")
    rollout = Rollout(own, "rolled")
    rollout.deploy(0)
    third = rollout.add()
    other = Rollout(own, "others")
    assert rollout.ask(path=f"/override/rolled/{rollout.new}") == rollout.new
    assert rollout.ask(path=f"/override/others/{rollout.new}") == rollout.old
    assert rollout.ask(path=f"/override/rolled/{third}") == rollout.old
    assert rollout.ask(path=f"/version/rolled/{third}") == third
    for missing in (other.new, "0" * 36, "no-version"):
        answer = own.request("rolled.localhost", f"/version/rolled/{missing}")
        assert (answer.status, b"1022" in answer.body) == (404, True)
