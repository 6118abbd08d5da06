"""wrangler with R2: buckets, their rules, objects, and a worker with a bucket that it makes."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import Wrangler

WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        found = await self.env.PHOTOS.get("a.css")
        if found is None:
            return Response("nothing yet", status=404)
        return Response(found.body, headers={"content-type": found.httpMetadata.contentType})
"""


def test_buckets_and_rules_from_wrangler(wrangler: Wrangler, tmp_path: Path) -> None:
    """Created, listed, told about, given rules of every kind, deleted."""
    wrangler("r2", "bucket", "create", "rules", "--storage-class", "InfrequentAccess")
    assert "rules" in wrangler("r2", "bucket", "list").stdout
    info = json.loads(wrangler("r2", "bucket", "info", "rules", "--json").stdout)
    assert (info["name"], info["object_count"]) == ("rules", "0")
    bucket = ("r2", "bucket")
    first = wrangler(*bucket, "lifecycle", "list", "rules").stdout
    assert "Default Multipart Abort Rule" in first
    add = ("lifecycle", "add", "rules", "old", "logs/", "--expire-days", "30", "--force")
    wrangler(*bucket, *add)
    assert "Expire objects after 30 days" in wrangler(*bucket, "lifecycle", "list", "rules").stdout
    wrangler(*bucket, "lock", "add", "rules", "kept", "k/", "--retention-days", "1", "--force")
    assert "kept" in wrangler(*bucket, "lock", "list", "rules").stdout
    cors = tmp_path / "cors.json"
    allowed = {"origins": ["https://a.example"], "methods": ["GET"], "headers": ["x-a"]}
    cors.write_text(json.dumps({"rules": [{"allowed": allowed}]}))
    wrangler(*bucket, "cors", "set", "rules", "--file", str(cors), "--force")
    assert "https://a.example" in wrangler(*bucket, "cors", "list", "rules").stdout
    wrangler(*bucket, "cors", "delete", "rules", "--force")
    wrangler(*bucket, "delete", "rules")
    assert wrangler.attempt(*bucket, "info", "rules")[0] != 0


def test_event_notifications_from_wrangler(wrangler: Wrangler) -> None:
    """Created, twice for one queue, listed, deleted by id and for a queue."""
    wrangler("r2", "bucket", "create", "watched")
    wrangler("queues", "create", "watchers")
    notification = ("r2", "bucket", "notification")
    to = ("watched", "--queue", "watchers")
    create = (*notification, "create", *to, "--event-types", "object-create")
    wrangler(*create, "--prefix", "img/", "--suffix", ".png", "--description", "new images")
    wrangler(*create, "object-delete")
    listed = wrangler(*notification, "list", "watched").stdout
    assert "PutObject,CompleteMultipartUpload,CopyObject,DeleteObject" in listed
    assert listed.count("watchers") == 2
    assert "(all prefixes)" in listed
    first = re.search(r"rule_id: +([0-9a-f]{32})", listed)
    assert first is not None
    wrangler(*notification, "delete", *to, "--rule", first[1])
    listed = wrangler(*notification, "list", "watched").stdout
    assert first[1] not in listed
    assert listed.count("watchers") == 1
    wrangler(*notification, "delete", *to)
    assert "watchers" not in wrangler(*notification, "list", "watched").stdout


def test_objects_and_a_worker_from_wrangler(
    wrangler: Wrangler,
    tmp_path: Path,
    project: Callable[..., Path],
    visit: Callable[..., httpx.Response],
) -> None:
    """Deploying makes the bucket that is missing; what is put from a file or a pipe comes out of
    the worker and of wrangler; what is locked is told."""
    more = '[[r2_buckets]]\nbinding = "PHOTOS"\nbucket_name = "photos"\n'
    directory = project("photos", WORKER, more)
    wrangler("deploy", "--dispatch-namespace", "production", cwd=directory)
    assert visit("/production/photos/").status_code == 404
    styles = tmp_path / "a.css"
    styles.write_text("body { color: red }")
    put = ("r2", "object", "put", "photos/a.css", "--remote")
    said = ("--content-type", "text/css", "--cache-control", "no-store")
    wrangler(*put, "--file", str(styles), *said)
    got = visit("/production/photos/")
    assert (got.text, got.headers["content-type"]) == (styles.read_text(), "text/css")
    wrangler(*put, "--pipe", *said, stdin="b { }")
    get = ("r2", "object", "get", "photos/a.css", "--remote")
    assert "b { }" in wrangler(*get, "--pipe").stdout
    wrangler("r2", "object", "delete", "photos/a.css", "--remote")
    assert visit("/production/photos/").status_code == 404
    code, missing = wrangler.attempt(*get, "--pipe")
    assert code != 0
    assert "The specified key does not exist" in missing.stdout + missing.stderr
