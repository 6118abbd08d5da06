"""wrangler with static assets: beside a worker's code, alone, and deployed again."""

from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import Wrangler

Project = Callable[..., Path]
Visit = Callable[..., httpx.Response]

WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        page = await self.env.FILES.fetch("https://any.test/about")
        return Response("code and " + await page.text())
"""
ASSETS = """
[assets]
directory = "./public"
binding = "FILES"
not_found_handling = "single-page-application"
run_worker_first = ["/api/*", "!/api/docs/*"]
"""


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / "public" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_assets_of_a_user_worker(wrangler: Wrangler, project: Project, visit: Visit) -> None:
    """Files, rules, binding and routing arrive as wrangler's configuration says; deployed again,
    only what changed is sent, and the files are those of the new version."""
    wrangler("dispatch-namespace", "create", "sites")
    directory = project("site", WORKER, ASSETS)
    files = {
        "index.html": "<h1>front</h1>",
        "about.html": "about us",
        "style.css": "p {}",
        "api/docs/x.txt": "a file",
        "_headers": "/*\n  X-From: rules\n",
        "_redirects": "/old/* /about 301\n",
        ".assetsignore": "*.secret\n",
        "key.secret": "hush",
    }
    write(directory, files)
    said = wrangler("deploy", "--dispatch-namespace", "sites", cwd=directory)
    assert "4 new or modified static assets" in said.stdout
    host = "site.sites.localhost"
    assert visit("/", host).text == "<h1>front</h1>"
    assert visit("/", host).headers["content-type"] == "text/html; charset=utf-8"
    assert visit("/about", host).headers["x-from"] == "rules"
    assert visit("/old/x", host).headers["location"] == "/about"
    assert visit("/api/x", host).text == "code and about us"
    assert visit("/api/docs/x.txt", host).text == "a file"
    assert visit("/style.css", host).headers["content-type"] == "text/css; charset=utf-8"
    assert visit("/key.secret", host).text == "code and about us"  # no file: the worker's
    write(directory, {"about.html": "about you"})
    again = wrangler("deploy", "--dispatch-namespace", "sites", cwd=directory)
    assert "1 new or modified static asset " in again.stdout
    assert visit("/about", host).text == "about you"
    assert visit("/api/x", host).text == "code and about you"


def test_only_assets(wrangler: Wrangler, project: Project, visit: Visit) -> None:
    """A worker without code, and rules that would redirect for ever, with the API's words."""
    directory = project("leaflet", WORKER)
    configuration = directory / "wrangler.toml"
    lines = configuration.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("main", "compatibility_flags"))]
    configuration.write_text("\n".join([*kept, '[assets]\ndirectory = "./public"\n']))
    write(directory, {"index.html": "only a page"})
    where = ("--dispatch-namespace", "production")
    wrangler("deploy", *where, cwd=directory)
    assert visit("/", "leaflet.localhost").text == "only a page"
    assert visit("/nothing", "leaflet.localhost").status_code == 404
    write(directory, {"_redirects": "/* /index.html 200\n"})
    code, said = wrangler.attempt("deploy", *where, cwd=directory)
    assert code != 0
    assert "Infinite loop" in said.stdout + said.stderr
