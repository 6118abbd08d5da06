"""The outbound example does what its page says."""

from pathlib import Path

from executor_house import House, worker
from executor_threaded import ThreadedOrigin

from cloister.messages import Outbound

SOURCE = Path(__file__).parents[2] / "examples" / "outbound" / "src" / "entry.py"

TENANT = """
url = request.url.partition("?")[2]
response = await fetch(url, method="POST", headers={"x-own": "1"}, body="data")
return Response(await response.text(), status=response.status)
"""


def test_the_outbound_example(shared: House, namespace: str, origin: ThreadedOrigin) -> None:
    """It blocks a host, adds the customer's name, and adds the credential for our API only."""
    origin.answers["/in"] = lambda _method, headers, body: (
        200,
        {},
        f"{headers['x-customer']} {headers['x-own']} {headers.get('authorization')} ".encode()
        + body,
    )
    text = SOURCE.read_text()
    secret = {"type": "secret_text", "name": "API_TOKEN", "text": "s3cret"}
    shared.deploy(namespace, "gate", text, bindings=[secret])
    ours = text.replace("api.platform.example", "127.0.0.1")
    shared.deploy(namespace, "ours", ours, bindings=[secret])
    shared.deploy(namespace, "tenant", worker(TENANT))

    def ask(gate: str, url: str) -> tuple[int, str]:
        through = Outbound(namespace=namespace, script=gate, parameters={"customer": "acme"})
        answer = shared.call(
            namespace, "tenant", url=f"http://tenant.localhost/?{url}", outbound=through
        )
        return answer.status, answer.body.decode()

    blocked = "tracker.example is blocked by this platform"
    assert ask("gate", "http://tracker.example/x") == (403, blocked)
    assert ask("gate", origin.url("/in")) == (200, "acme 1 None data")
    assert ask("ours", origin.url("/in")) == (200, "acme 1 Bearer s3cret data")
    log = shared.traces(namespace, "gate", 2)[0].logs
    assert [line.message for line in log] == [["acme: POST 127.0.0.1"]]
