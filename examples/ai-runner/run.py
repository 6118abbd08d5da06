"""Run a snippet that a language model wrote: deploy it with tight limits, call it, delete it.

    python examples/ai-runner/run.py < snippet.py

The snippet defines ``def main(data)``; its argument is the JSON of ``--data``, and what it returns
is printed as JSON. It gets 5 ms of CPU and 3 subrequests, and no binding at all.
"""

import argparse
import json
import sys
import uuid
from pathlib import Path

import httpx

NAMESPACE = "production"
LIMITS = {"cpu_ms": 5, "subrequests": 3}

ENTRY = """\
from snippet import main
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response.json(main(await request.json()))
"""


def run(snippet: str, data: object, credentials: dict[str, str]) -> httpx.Response:
    """What the snippet answers: status 200 and its value, or the error page of what stopped it."""
    name = f"snippet-{uuid.uuid4().hex[:12]}"
    script = (
        f"/client/v4/accounts/{credentials['account_id']}"
        f"/workers/dispatch/namespaces/{NAMESPACE}/scripts/{name}"
    )
    with httpx.Client(
        base_url=credentials["control_url"],
        headers={"Authorization": f"Bearer {credentials['api_token']}"},
        timeout=60,
    ) as api:
        deployed = api.put(script, files=_upload(snippet))
        if deployed.is_error:
            return deployed
        try:
            return httpx.post(
                f"{credentials['dispatch_url']}/{NAMESPACE}/{name}/",
                content=json.dumps(data),
                headers={"Accept": "application/json"},  # errors come as JSON, not as a page
                timeout=60,
            )
        finally:
            api.delete(script)


def _upload(snippet: str) -> list[tuple[str, tuple[str | None, str, str]]]:
    metadata = {
        "main_module": "entry.py",
        "compatibility_date": "2026-01-01",
        "compatibility_flags": ["python_workers"],
        "limits": LIMITS,
        "tags": ["snippet"],
    }
    return [
        ("metadata", (None, json.dumps(metadata), "application/json")),
        ("entry.py", ("entry.py", ENTRY, "text/x-python")),
        ("snippet.py", ("snippet.py", snippet, "text/x-python")),
    ]


def main() -> int:
    """Exit code 0 if the snippet returned."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="null", type=json.loads, help="JSON for main(data)")
    parser.add_argument(
        "--credentials", type=Path, default=Path(".cloister/credentials.json"), help="of the API"
    )
    options = parser.parse_args()
    credentials = json.loads(options.credentials.read_text())
    answer = run(sys.stdin.read(), options.data, credentials)
    print(answer.text)
    return 0 if answer.is_success else 1


if __name__ == "__main__":
    sys.exit(main())
