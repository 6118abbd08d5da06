"""`make bench`: Flask alone, Flask over plain Celery, and Cloister, measured one after the other.

Prints a table of requests a second and latency at 1, 16 and 64 connections, the ratio to plain
Celery, the cold start of a worker that was never seen, and the memory that a warm worker adds.
``bench/README.md`` says what the figures do not show.
"""

import argparse
import asyncio
import math
import os
import platform
import statistics
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from load import Figures, call, measure
from memory import added_kb
from processes import answers, free_port, gunicorn, python, running, valkey, wait_for
from redis import Redis

from cloister import credentials
from cloister.client import Client, Module
from cloister.embedded import valkey_socket
from scheduler import lease as scheduler

CONNECTIONS = (1, 16, 64)
WARM_UP_S = 1.0
WARM_CALLS = 200
SILENCES_S = [1 + tenth / 10 for tenth in range(10)]
GUARD = Path(__file__).with_name("guard.toml")

HELLO = b"""\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("Hello World!")
"""


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--workers", type=int, default=20, help="fresh workers for the cold start")
    parser.add_argument(
        "--guard", action="store_true", help="fail if a ratio is worse than allowed"
    )
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{options.seconds:g} s each, load generator on the same machine\n")
    print(f"{'':<14}{'connections':>12}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'failed':>8}")
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        with flask_alone(directory) as url:
            series("Flask alone", url, options.seconds)
        with flask_celery(directory) as url:
            baseline = series("Flask + Celery", url, options.seconds)
        with cloister(directory) as who:
            url = f"{who.dispatch_url}/{who.namespace}/hello/"
            ours = series("Cloister", url, options.seconds)
            found = ratios(ours, baseline)
            found |= silence(who, ours[1])
            found |= cold_start(who, options.workers, baseline[1])
            found |= memory(who, directory, options.workers)
    print("\n" + "\n".join(f"{what:<52}{ratio:>8.2f}" for what, ratio in found.items()))
    if options.guard:
        sys.exit("\n".join(worse(found, GUARD)) or None)


def series(name: str, url: str, seconds: float) -> dict[int, Figures]:
    """Measure one server at each number of connections, printing as it goes."""
    found = {}
    for connections in CONNECTIONS:
        asyncio.run(measure(url, connections=connections, duration_s=WARM_UP_S))
        figures = asyncio.run(measure(url, connections=connections, duration_s=seconds))
        found[connections] = figures
        print(
            f"{name:<14}{connections:>12}{figures.rate:>12,.0f}{figures.percentile(0.5):>10.2f}"
            f"{figures.percentile(0.99):>10.2f}{figures.failed:>8}",
            flush=True,
        )
    return found


def ratios(ours: dict[int, Figures], baseline: dict[int, Figures]) -> dict[str, float]:
    """Ours to the baseline's, by what is compared: the machine's speed is in both."""
    rates = {
        f"requests/s to Flask + Celery's, {connections} connections": (
            figures.rate / baseline[connections].rate
        )
        for connections, figures in ours.items()
    }
    p50_ms = ours[1].percentile(0.5)
    return {
        **rates,
        "p50 to Flask + Celery's, 1 connection": p50_ms / baseline[1].percentile(0.5),
        "p99 to p50, 1 connection": ours[1].percentile(0.99) / p50_ms,
    }


def worse(found: Mapping[str, float], guard: Path) -> Iterator[str]:
    """What is worse than the file allows."""
    allowed = tomllib.loads(guard.read_text())
    least, most = allowed["at_least"], allowed["at_most"]
    for what, ratio in found.items():
        if not least.get(what, 0) <= ratio <= most.get(what, math.inf):
            yield f"worse than allowed: {what}, {ratio:.2f}"


@contextmanager
def flask_alone(directory: Path) -> Iterator[str]:
    """Flask that answers by itself."""
    port = free_port()
    environment = {"BENCH_REDIS_URL": "unix:///nowhere"}
    with running(
        *gunicorn("baseline:flask_alone", port),
        log=directory / "flask.log",
        environment=environment,
    ):
        url = f"http://127.0.0.1:{port}/"
        wait_for(lambda: answers(url), "Flask")
        yield url


@contextmanager
def flask_celery(directory: Path) -> Iterator[str]:
    """Flask that asks an ordinary Celery worker with one process a core."""
    port = free_port()
    worker = python("-m", "celery", "-A", "baseline:celery", "worker", "--loglevel", "WARNING")
    with ExitStack() as servers:
        environment = {"BENCH_REDIS_URL": servers.enter_context(valkey(directory))}
        log = directory / "celery.log"
        servers.enter_context(running(*worker, log=log, environment=environment))
        flask = gunicorn("baseline:flask_celery", port)
        servers.enter_context(running(*flask, log=log, environment=environment))
        url = f"http://127.0.0.1:{port}/"
        wait_for(lambda: answers(url), "Flask with Celery")
        yield url


@contextmanager
def cloister(directory: Path, **settings: str) -> Iterator[credentials.Credentials]:
    """`cloister up` with its defaults, but for those settings."""
    data = directory / "cloister"
    environment = {
        **settings,
        "CLOISTER_DATA": str(data),
        "CLOISTER_DISPATCH_BIND": f"127.0.0.1:{free_port()}",
        "CLOISTER_CONTROL_BIND": f"127.0.0.1:{free_port()}",
    }
    log = directory / "cloister.log"
    with running(*python("-m", "cloister.cli", "up"), log=log, environment=environment) as up:

        def ready() -> bool:
            if up.poll() is not None:
                raise SystemExit(f"cloister up ended:\n{log.read_text()}")
            who = credentials.load(data)
            if who is None or not answers(f"{who.dispatch_url}/{who.namespace}/hello/"):
                return False
            # It starts after everything else, and is not what is measured.
            with Redis(unix_socket_path=str(valkey_socket(data))) as client:
                return bool(client.exists(scheduler.KEY))

        wait_for(ready, "Cloister")
        who = credentials.load(data)
        assert who is not None
        yield who


def silence(who: credentials.Credentials, warm: Figures) -> dict[str, float]:
    """Requests that each come when there was none for a second or two."""
    url = f"{who.dispatch_url}/{who.namespace}/hello/"
    taken_ms = []
    for pause_s in SILENCES_S:
        time.sleep(pause_s)
        taken_ms.append(asyncio.run(in_turn([url]))[0][0])
    slowest = max(taken_ms)
    print(f"\nAfter {len(taken_ms)} silences of one to two seconds")
    print(f"p50 {statistics.median(taken_ms):.2f} ms, slowest {slowest:.2f} ms")
    return {"slowest after a silence to p50": slowest / warm.percentile(0.5)}


def cold_start(who: credentials.Credentials, count: int, baseline: Figures) -> dict[str, float]:
    """First requests to workers that no executor has seen, one after the other, on the connection
    of warm ones. They were deployed just before."""
    cold_urls = fresh_workers(who, count, "cold")
    warm_url = f"{who.dispatch_url}/{who.namespace}/hello/"
    warm_ms, cold_ms = asyncio.run(in_turn([warm_url] * WARM_CALLS, cold_urls))
    warm, cold = statistics.median(warm_ms), statistics.median(cold_ms)
    print(f"\nCold start, {count} workers never seen, one after the other")
    print(f"p50 {cold:.2f} ms, slowest {max(cold_ms):.2f} ms; warm ones before: p50 {warm:.2f} ms")
    return {
        "cold start to Flask + Celery's p50": cold / baseline.percentile(0.5),
        "cold start to warm p50": cold / warm,
    }


def memory(who: credentials.Credentials, directory: Path, count: int) -> dict[str, float]:
    """What workers add that were called once."""
    urls = fresh_workers(who, count, "held")
    with added_kb(directory) as added:
        asyncio.run(in_turn(urls))
    added_mib = added.kb / count / 1024
    print(f"Memory a warm worker adds (PSS of all processes): {added_mib:.2f} MiB")
    return {"MiB a warm worker adds": added_mib}


def fresh_workers(who: credentials.Credentials, count: int, name: str) -> list[str]:
    """Deploy so many; their URLs. Their sources differ, so that nothing is shared by digest."""
    names = [f"{name}-{number}" for number in range(count)]
    deploy(who, {each: HELLO + f"# {each}\n".encode() for each in names})
    return [f"{who.dispatch_url}/{who.namespace}/{each}/" for each in names]


async def in_turn(*series_of_urls: Sequence[str]) -> list[list[float]]:
    """Call each once, on one connection; milliseconds of each, by series."""
    target = urlsplit(series_of_urls[0][0])
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    taken_ms: list[list[float]] = []
    for urls in series_of_urls:
        taken_ms.append([])
        for url in urls:
            begun = time.perf_counter()
            status = await call(reader, writer, url)
            taken_ms[-1].append((time.perf_counter() - begun) * 1000)
            if status != 200:
                raise SystemExit(f"{url} answered {status}")
    writer.close()
    return taken_ms


def deploy(
    who: credentials.Credentials, sources: Mapping[str, bytes], namespace: str | None = None
) -> None:
    """Upload workers by name, each of one module; to the namespace that is there, if none is
    named."""
    metadata = {"main_module": "entry.py", "compatibility_flags": ["python_workers"]}
    with Client(who.control_url, who.account_id, who.api_token) as client:
        for name, source in sources.items():
            module = Module(name="entry.py", content_type="text/x-python", data=source)
            client.deploy(namespace or who.namespace, name, metadata, [module])


if __name__ == "__main__":
    main()
