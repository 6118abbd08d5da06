"""`python bench/flood.py`: one worker floods its namespace, and others are served all the same.

The flood is 64 connections that ask a worker for 50 ms of CPU time again and again. Beside it one
connection calls another worker, of the same namespace and of another one. Then so many requests
come at once that not all can wait: those are answered 503, with when to come again.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from load import HEAD_END
from run import HELLO, cloister, deploy
from slow import beside, line

from cloister import credentials
from cloister.client import Client

FLOOD = b"""\
import time
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return Response("burned")
"""
OTHER = "other"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=64, help="that flood")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--burst", type=int, default=1_500, help="requests at once, at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name, cloister(Path(name)) as who:
        deploy(who, {"flood": FLOOD})
        there = elsewhere(who)
        flood = f"{who.dispatch_url}/{who.namespace}/flood/"
        for what, url in {
            "in the same namespace": f"{who.dispatch_url}/{who.namespace}/hello/",
            "in another namespace": f"{who.dispatch_url}/{there}/hello/",
        }.items():
            with beside(url) as alone:
                time.sleep(options.seconds)
            with beside(flood, options.connections) as flooding:
                time.sleep(1)  # until it is at its height
                with beside(url) as meanwhile:
                    time.sleep(options.seconds)
            print(line(f"{what}: alone", alone))
            print(line(f"{what}: beside the flood", meanwhile))
            print(line("the flood", flooding), flush=True)
        answers = asyncio.run(burst(flood, options.burst))
        print(f"{options.burst} requests at once: {dict(answers.most_common())}")


def elsewhere(who: credentials.Credentials) -> str:
    """Another namespace, with a worker in it; its name."""
    with Client(who.control_url, who.account_id, who.api_token) as client:
        client.call("POST", "/workers/dispatch/namespaces", json={"name": OTHER})
    deploy(who, {"hello": HELLO}, OTHER)
    return OTHER


async def burst(url: str, count: int) -> Counter[str]:
    """Call a URL so many times at once; what was answered how often."""
    target = urlsplit(url)
    ask = f"GET {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nConnection: close\r\n\r\n"

    async def one() -> str:
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        writer.write(ask.encode())
        head = (await reader.readuntil(HEAD_END)).lower()
        writer.close()
        again = " with Retry-After" if b"\r\nretry-after:" in head else ""
        return head[9:12].decode() + again

    return Counter(await asyncio.gather(*(one() for _ in range(count))))


if __name__ == "__main__":
    main()
