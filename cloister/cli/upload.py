"""The upload of static assets: what the server lacks, a bucket at a time, with progress."""

import base64
import itertools
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import click

from cloister.cli.site import Asset, Site
from cloister.client import ApiError, Client, script_path

AT_ONCE = 2
"""Uploads under way: the API takes a few large ones at a time, from everybody."""

TRIES = 5
FIRST_WAIT_S = 0.5

NO_TYPE = "application/null"


def upload(client: Client, namespace: str, name: str, site: Site) -> str:
    """Upload what is missing; the token for the deploy.

    Raises:
        ApiError: the control API refuses, or does not answer for long.
    """
    manifest = {each.path: {"hash": each.hash, "size": each.size} for each in site.assets}
    session = client.call(
        "POST", f"{script_path(namespace, name)}/assets-upload-session", json={"manifest": manifest}
    )
    token = str(session["jwt"])
    files = {each.hash: each for each in site.assets}
    buckets = [[files[name] for name in bucket] for bucket in session["buckets"]]
    if not buckets:
        click.echo(f"No updated asset files to upload ({len(files)} there).", err=True)
        return token
    return _upload(client, token, buckets, unchanged=len(files) - sum(map(len, buckets)))


def _upload(client: Client, token: str, buckets: list[list[Asset]], *, unchanged: int) -> str:
    total = sum(map(len, buckets))
    complete = ""
    label = f"Uploading {total} files ({unchanged} unchanged)"
    with (
        click.progressbar(length=total, label=label, file=sys.stderr) as bar,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        sent = threads.map(lambda bucket: _send(client, token, bucket), buckets)
        for bucket, answer in zip(buckets, sent, strict=True):
            bar.update(len(bucket))
            complete = answer or complete
    if not complete:
        raise ApiError("The upload of assets did not complete; deploy again.")
    return complete


def _send(client: Client, token: str, bucket: list[Asset]) -> str:
    """Send a bucket, again if the server is busy; the completion token if it was the last one."""
    parts = [
        (
            each.hash,
            (each.hash, base64.b64encode(each.read()), each.content_type or NO_TYPE),
        )
        for each in bucket
    ]
    for wait_s in _waits():
        try:
            result = client.call(
                "POST",
                "/workers/assets/upload",
                params={"base64": "true"},
                headers={"Authorization": f"Bearer {token}"},
                files=parts,
            )
        except ApiError as exc:
            if wait_s is None or (exc.status != 429 and 0 < exc.status < 500):
                raise
            time.sleep(wait_s)
        else:
            return str((result or {}).get("jwt") or "")
    raise AssertionError("unreachable")


def _waits() -> Iterator[float | None]:
    return itertools.chain((FIRST_WAIT_S * 2**time for time in range(TRIES - 1)), (None,))
