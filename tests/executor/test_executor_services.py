"""Workers that call others across namespaces: the platform's own ones, and those that it dispatches
to."""

from executor_house import ACCOUNT, House, worker

from cloister.messages import Outbound
from cloister.registry.names import plain_namespace

PLAIN = plain_namespace(ACCOUNT)

BILLING = """
from workers import WorkerEntrypoint, Response, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(await (await fetch("http://out.test/from-billing")).text())

class Charges(WorkerEntrypoint):
    async def charge(self, cents):
        return {"tenant": self.ctx.props["tenant"], "cents": cents}

    async def refuse(self):
        raise ValueError("no credit")
"""
GATE = """
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("by default")

class Strict(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"{self.env.customer} by {request.url}")
"""


def service(name: str, script: str, **more: object) -> dict[str, object]:
    """A service binding."""
    return {"type": "service", "name": name, "service": script, **more}


def test_a_plain_worker_is_called_by_a_user_worker(shared: House, namespace: str) -> None:
    """By its methods, as what the binding says and no more: props are the platform's, errors are
    its own, and what cannot be sent is refused before it leaves."""
    shared.deploy(PLAIN, "billing", BILLING)
    source = worker(
        """
import json
said = [await self.env.BILL.charge(5)]
for attempt in (lambda: self.env.BILL.refuse(), lambda: self.env.BILL.charge(lambda: 1),
                lambda: self.env.BILL.charge((1, 2)), lambda: self.env.BILL.missing()):
    try:
        said.append(await attempt())
    except Exception as error:
        said.append([type(error).__name__, str(error)])
return Response(json.dumps(said))
"""
    )
    props = {"tenant": "alice"}
    bill = service("BILL", "billing", entrypoint="Charges", props=props, plain=True)
    shared.deploy(namespace, "caller", source, bindings=[bill])
    answer = shared.call(namespace, "caller")
    assert answer.body == (
        b'[{"tenant": "alice", "cents": 5}, ["ValueError", "no credit"], '
        b'["TypeError", "Value of type function cannot be sent over RPC"], '
        b'["TypeError", "Value of type tuple cannot be sent over RPC"], '
        b'["TypeError", "Method missing does not exist"]]'
    )


def test_whose_outbound_worker(shared: House, namespace: str) -> None:
    """A user worker's fetch() goes through it, and so does that of a worker of its namespace that
    it calls; the platform's own Worker fetches for itself."""
    shared.deploy(PLAIN, "billing", BILLING)
    shared.deploy(namespace, "gate", GATE)
    shared.deploy(namespace, "friend", BILLING)
    source = worker(
        """
said = [await (await self.env.FRIEND.fetch("http://x/")).text()]
try:
    said.append(await (await self.env.BILL.fetch("http://x/")).text())
except Exception as error:
    said.append(str(error))
return Response(" | ".join(said))
"""
    )
    bindings = [service("BILL", "billing", plain=True), service("FRIEND", "friend")]
    shared.deploy(namespace, "caller", source, bindings=bindings)
    through = Outbound(namespace=namespace, script="gate")
    friend, bill = shared.call(namespace, "caller", outbound=through).body.decode().split(" | ")
    assert friend == "by default"
    assert "may not connect to port 80" in bill  # it asked the network itself


DISPATCHER = """
import json
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        outbound = {"outbound": {"customer": "alice"}}
        stub = self.env.DISPATCHER.get("tenant", {"plan": "pro"}, outbound)
        said = [await (await stub.fetch("http://tenant/")).text(), await stub.plan(1, two=2)]
        for attempt in (lambda: stub.missing(), lambda: stub.boom(),
                        lambda: self.env.DISPATCHER.get("nobody").plan(),
                        lambda: self.env.DISPATCHER.get("tenant", [1]).plan()):
            try:
                said.append(await attempt())
            except Exception as error:
                said.append([type(error).__name__, str(error)])
        return Response(json.dumps(said))
"""
TENANT = """
from workers import WorkerEntrypoint, Response, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        through = await (await fetch("http://api.test/")).text()
        return Response(f"{self.ctx.props.plan}: {through}")

    async def plan(self, one=None, options=None):
        return [one, options, self.ctx.props.plan]

    async def boom(self):
        raise ValueError("boom")
"""


def test_a_dispatched_worker(shared: House, namespace: str) -> None:
    """It is fetched and called by its methods; what get() was given as arguments are its props, and
    its fetch() goes to the entrypoint of the outbound worker that the binding names."""
    shared.deploy(PLAIN, "gate", GATE)
    shared.deploy(namespace, "tenant", TENANT)
    binding = {
        "type": "dispatch_namespace",
        "name": "DISPATCHER",
        "namespace": namespace,
        "outbound": {
            "worker": {"service": "gate", "entrypoint": "Strict"},
            "params": [{"name": "customer"}],
        },
    }
    shared.deploy(PLAIN, "dispatcher", DISPATCHER, bindings=[binding])
    assert shared.call(PLAIN, "dispatcher").body == (
        b'["pro: alice by http://api.test/", [1, {"two": 2}, "pro"], '
        b'["TypeError", "Method missing does not exist"], ["ValueError", "boom"], '
        b'["Exception", "Worker not found."], ["TypeError", "Arguments are an object."]]'
    )


def test_arguments_of_the_dispatchers_own_worker(shared: House, namespace: str) -> None:
    """What it says with a request are the worker's props, too; without, there are none."""
    shared.deploy(namespace, "tenant", worker("return Response.from_json(dict(self.ctx.props))"))
    assert shared.call(namespace, "tenant", args={"plan": "pro"}).body == b'{"plan": "pro"}'
    assert shared.call(namespace, "tenant").body == b"{}"
