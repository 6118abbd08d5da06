"""A platform as the product's documentation builds one: dispatch worker, outbound worker and the
customers' workers, all deployed with wrangler."""

from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import Wrangler

Project = Callable[..., Path]
Visit = Callable[..., httpx.Response]

NO_ADDRESS = "workers_dev = false\npreview_urls = false\n"
DISPATCHER = """
from urllib.parse import urlsplit
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name = urlsplit(request.url).hostname.split(".")[0]
        limits = {"cpuMs": 50, "subRequests": 2}
        try:
            options = {"limits": limits, "outbound": {"customer": name}}
            worker = self.env.DISPATCHER.get(name, {}, options)
            response = await worker.fetch(request)
        except Exception as error:
            if str(error).startswith("Worker not found"):
                return Response("no such customer", status=404)
            if "CPU time limit" in str(error):
                return Response("too much", status=429)
            return Response(f"failed: {error}", status=500)
        return Response(await response.text() + " (dispatched)", status=response.status)
"""
BOUND = (
    NO_ADDRESS
    + """
[[dispatch_namespaces]]
binding = "DISPATCHER"
namespace = "customers"
outbound = {service = "gate", parameters = ["customer"]}
"""
)
GATE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"{request.method} {request.url} for {self.env.customer}")
"""
ALICE = """
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/burn"):
            while True:
                pass
        if request.url.endswith("/raise"):
            raise ValueError("oh no")
        if request.url.endswith("/many"):
            for _ in range(3):
                await fetch("http://example.com/")
        body = await request.text()
        fetched = await fetch("http://example.com/" + body)
        return Response(f"alice: {await fetched.text()}", status=201)
"""


def test_a_platform_in_workers(wrangler: Wrangler, project: Project, visit: Visit) -> None:
    """Hosts without a worker of their own reach the dispatch worker. It calls user workers by name,
    within limits, and their fetch() goes through the outbound worker that its binding names, with
    its parameters; it can tell what fails. A host with a worker goes on to lead there."""
    wrangler("dispatch-namespace", "create", "customers")
    wrangler("deploy", cwd=project("gate", GATE, NO_ADDRESS))
    wrangler("deploy", cwd=project("dispatcher", DISPATCHER, BOUND))
    wrangler("deploy", "--dispatch-namespace", "customers", cwd=project("alice", ALICE))

    alice = "alice.example.org"
    answer = visit("/", alice)
    assert (answer.status_code, answer.text) == (
        201,
        "alice: GET http://example.com/ for alice (dispatched)",
    )
    assert visit("/burn", alice).text == "too much"
    assert visit("/raise", alice).text == "failed: oh no"
    assert visit("/many", alice).text == "failed: Too many subrequests."
    bob = visit("/", "bob.example.org")
    assert (bob.status_code, bob.text) == (404, "no such customer")
    assert visit("/", "hello.localhost").text != bob.text
    assert visit("/customers/alice/", alice).text.endswith("(dispatched)")


def test_a_user_worker_dispatches_nothing(wrangler: Wrangler, project: Project) -> None:
    """The binding is refused to it, whatever the namespace."""
    bound = project("greedy", GATE, BOUND.replace("customers", "production"))
    code, said = wrangler.attempt("deploy", "--dispatch-namespace", "production", cwd=bound)
    assert code != 0
    assert "not a plain Worker" in said.stdout + said.stderr
