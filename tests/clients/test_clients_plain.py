"""wrangler with plain Workers: the platform's own."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import ACCOUNT, TOKEN, Platform, Wrangler

Project = Callable[..., Path]
Visit = Callable[..., httpx.Response]

NO_ADDRESS = "workers_dev = false\npreview_urls = false\n"
OUTBOUND = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"{self.env.KEY} saw {request.url}")
"""
TENANT = """
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(await (await fetch("http://example.com/x")).text())
"""


def test_an_outbound_worker(
    wrangler: Wrangler, project: Project, platform: Platform, visit: Visit
) -> None:
    """Deployed without a namespace, twice, given secrets, used by a namespace's rule, deleted."""
    outbound = project("outbound", OUTBOUND, NO_ADDRESS)
    said = wrangler("deploy", cwd=outbound)
    assert "Current Version ID: " in said.stdout
    project("outbound", OUTBOUND.replace(" saw ", " met "), NO_ADDRESS)
    wrangler("deploy", cwd=outbound)
    wrangler("secret", "put", "KEY", cwd=outbound, stdin="old")
    (outbound / "secrets.json").write_text('{"KEY": "new", "OTHER": "x"}')
    wrangler("secret", "bulk", "secrets.json", cwd=outbound)
    wrangler("secret", "delete", "OTHER", cwd=outbound)
    listed = json.loads(wrangler("secret", "list", cwd=outbound).stdout)
    assert listed == [{"name": "KEY", "type": "secret_text"}]

    namespace = f"{platform.api}/accounts/{ACCOUNT}/workers/dispatch/namespaces/production"
    whole = {"Authorization": f"Bearer {TOKEN}"}
    rule = {"outbound": {"service": "outbound"}}
    assert httpx.put(namespace, json=rule, headers=whole, trust_env=False).status_code == 200
    wrangler("deploy", "--dispatch-namespace", "production", cwd=project("tenant", TENANT))
    assert visit("/production/tenant/").text == "new met http://example.com/x"

    said = wrangler("delete", "--force", cwd=outbound)
    assert "Successfully deleted outbound" in said.stdout
    assert visit("/production/tenant/").status_code == 500


TIMED = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env, ctx):
        print(controller.cron)
"""


def test_cron_triggers(wrangler: Wrangler, project: Project, platform: Platform) -> None:
    """Those of the configuration are the Worker's after a deploy; without them it has none."""
    schedules = f"{platform.api}/accounts/{ACCOUNT}/workers/scripts/timed/schedules"
    whole = {"Authorization": f"Bearer {TOKEN}"}
    for crons in (["*/30 * * * *", "0 17 * * sun"], []):
        told = f"{NO_ADDRESS}[triggers]\ncrons = {json.dumps(crons)}\n"
        wrangler("deploy", cwd=project("timed", TIMED, told))
        found = httpx.get(schedules, headers=whole, trust_env=False).json()["result"]["schedules"]
        assert sorted(each["cron"] for each in found) == sorted(crons)


def test_an_address_is_refused(wrangler: Wrangler, project: Project) -> None:
    """Who asks for one is told what to write instead, before anything is deployed."""
    code, said = wrangler.attempt("deploy", cwd=project("addressed", OUTBOUND))
    assert code != 0
    assert "workers_dev = false" in said.stdout + said.stderr
    code, said = wrangler.attempt("secret", "list", cwd=project("addressed", OUTBOUND))
    assert code != 0
    assert "not found" in said.stdout + said.stderr
