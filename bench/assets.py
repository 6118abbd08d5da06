"""`python bench/assets.py`: static assets beside Flask that answers a constant of the same size.

Both are measured in turns, in one run; the ratio is of the medians. Then the largest file there can
be is fetched, while the memory of all processes is looked at, and a site of many files is deployed
twice.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from load import measure
from memory import total_kb
from processes import answers, free_port, gunicorn, running, wait_for
from run import WARM_UP_S, cloister

from cloister.assets import FILE_BYTES
from cloister.cli import site, upload
from cloister.client import Client
from cloister.credentials import Credentials

MIB = 1024 * 1024
SIZES = (1024, 16 * 1024, 128 * 1024)
ROUNDS = 3
WANTED = 0.8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--files", type=int, default=2_000, help="of the site that is deployed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        public = directory / "public"
        public.mkdir()
        for size in SIZES:
            # Noise: it stays as it is, whatever codings the client would take.
            (public / f"{size}.bin").write_bytes(os.urandom(size))
        (public / "largest.bin").write_bytes(os.urandom(FILE_BYTES))
        with cloister(directory) as who:
            deploy(who, "site", public)
            base = f"{who.dispatch_url}/{who.namespace}/site"
            for size in SIZES:
                with flask(directory, size) as theirs:
                    compare(f"{base}/{size}.bin", theirs, size, options)
            largest(f"{base}/largest.bin", directory)
            many(who, directory / "many", options.files)


def compare(ours: str, theirs: str, size: int, options: argparse.Namespace) -> None:
    """Print requests a second of both, and the ratio."""
    rates: dict[str, list[float]] = {ours: [], theirs: []}
    for url in (ours, theirs):
        asyncio.run(measure(url, connections=options.connections, duration_s=WARM_UP_S))
    for _ in range(ROUNDS):
        for url, found in rates.items():
            figures = asyncio.run(
                measure(url, connections=options.connections, duration_s=options.seconds)
            )
            assert not figures.failed
            found.append(figures.rate)
    mine, flasks = (statistics.median(found) for found in rates.values())
    verdict = "enough" if mine >= WANTED * flasks else "too little"
    print(
        f"{size:>7} bytes: {mine:,.0f} requests/s, Flask {flasks:,.0f}: "
        f"{mine / flasks:.2f}, {verdict}",
        flush=True,
    )


def largest(url: str, directory: Path) -> None:
    """Print how fast the largest file goes, and what memory grew by meanwhile."""
    data = directory / "cloister"
    with httpx.Client(trust_env=False) as http:
        http.get(url).raise_for_status()
        before_kb = most_kb = total_kb(data)
        began = time.perf_counter()
        for _ in range(4):
            with http.stream("GET", url) as answer:
                for piece, _ in enumerate(answer.iter_raw(MIB)):
                    if piece % 10 == 0:
                        most_kb = max(most_kb, total_kb(data))
        seconds = time.perf_counter() - began
    print(
        f"{FILE_BYTES / MIB:.0f} MiB: {4 * FILE_BYTES / MIB / seconds:.0f} MiB/s, "
        f"memory at most {(most_kb - before_kb) / 1024:.1f} MiB more"
    )


def many(who: Credentials, public: Path, count: int) -> None:
    """Print how long a site of so many small pages takes to deploy, and to deploy again."""
    public.mkdir()
    for number in range(count):
        text = f"<!doctype html><title>{number}</title>" + f"<p>page {number}</p>" * 100
        (public / f"{number}.html").write_text(text)
    began = time.perf_counter()
    deploy(who, "many", public)
    first_s = time.perf_counter() - began
    (public / "0.html").write_text("new")
    began = time.perf_counter()
    deploy(who, "many", public)
    print(f"{count} files: {first_s:.1f} s, with one changed {time.perf_counter() - began:.1f} s")


def deploy(who: Credentials, name: str, public: Path) -> None:
    """Deploy a directory as a worker that is only assets."""
    with Client(who.control_url, who.account_id, who.api_token) as client:
        token = upload.upload(client, who.namespace, name, site.read(public, {}))
        client.deploy(who.namespace, name, {"assets": {"jwt": token}}, [])


@contextmanager
def flask(directory: Path, size: int) -> Iterator[str]:
    """Flask that answers a constant."""
    port = free_port()
    environment = {"BENCH_REDIS_URL": "unix:///nowhere", "BENCH_BYTES": str(size)}
    log = directory / "flask.log"
    with running(*gunicorn("baseline:flask_constant", port), log=log, environment=environment):
        url = f"http://127.0.0.1:{port}/"
        wait_for(lambda: answers(url), "Flask")
        yield url


if __name__ == "__main__":
    main()
