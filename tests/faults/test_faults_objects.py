"""Durable Objects while executors die or hang: real processes, killed and stopped."""

import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executor_house import ACCOUNT, House
from executor_objects import deploy, worker
from redis import RedisError

from cloister.messages import Head, decode_frame

CLIENTS = 16
COUNTERS = 4
BETWEEN_KILLS = 50
KILLS = 2
"""Increments that are acknowledged before an executor is killed, and how often one is."""

METHODS = """
async def once(self, token):
    value = await self.increment()
    await self.ctx.storage.put("token " + token, value)
    return value

async def everything(self):
    return [await self.value(), await self.ctx.storage.list(prefix="token ")]

async def slow(self):
    import asyncio
    await self.ctx.storage.put("value", 100)
    await self.env.COUNTERS.getByName("flag").increment()
    await asyncio.sleep(1)
    await self.ctx.storage.put("value", 1000)
    return 1000
"""
CALLS = """
asked = request.url.partition("?")[2]
if asked == "all":
    return Response(json.dumps(await stub.everything()))
if asked == "slow":
    return Response(str(await stub.slow()))
return Response(str(await stub.once(asked)))
"""


class Executors(House):
    """A house with several of them, on one directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, blank_isolates=1)
        self._running: list[tuple[subprocess.Popen[str], threading.Thread]] = []

    @property
    def pids(self) -> list[int]:
        """Of those that run, the oldest first."""
        return [process.pid for process, _ in self._running]

    def add(self) -> None:
        """Start one more."""
        self.start_worker()
        assert self.worker is not None
        assert self._reader is not None
        self._running.append((self.worker, self._reader))
        self.worker = None

    def kill(self) -> None:
        """Kill the oldest, with its isolates and storage."""
        process, reader = self._running.pop(0)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()

    def kill_everything(self) -> None:
        """All of them and Valkey; then start again."""
        while self.pids:
            self.kill()
        self.stop_valkey()
        self.start_valkey()
        self.add()

    def ask(self, path: str, wait_s: float = 30) -> bytes | None:
        """What a call is answered with success within that time; None if it is not."""
        url = f"http://main.localhost/{path}"
        asked = self.invocation("faults", "main", url=url, deadline=time.time() + wait_s)
        try:
            self.publish(asked)
            popped: Any = self.redis.blpop([asked.reply_to], timeout=wait_s)
        except RedisError:
            return None
        frame = decode_frame(popped[1]) if popped else None
        return frame.body if isinstance(frame, Head) and frame.status == 200 else None


@contextmanager
def executors(directory: Path) -> Iterator[Executors]:
    made = Executors(directory)
    made.start()
    try:
        made.namespace("faults")
        made.add()
        yield made
    finally:
        while made.pids:
            made.kill()
        made.stop()


class Clients:
    """Each increments one counter after the other, every time with a token of its own."""

    def __init__(self, made: Executors) -> None:
        self.acknowledged: dict[str, dict[str, int]] = {f"c{n}": {} for n in range(COUNTERS)}
        self.stopping = threading.Event()
        self._made = made
        self._tokens = itertools.count()

    @property
    def count(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def work(self, number: int) -> None:
        for turn in itertools.count(number):
            if self.stopping.is_set():
                return
            counter, token = f"c{turn % COUNTERS}", str(next(self._tokens))
            answer = self._made.ask(f"{counter}?{token}", 8)
            if answer is not None:
                self.acknowledged[counter][token] = int(answer)


def test_no_increment_is_lost_or_doubled_while_executors_are_killed(tmp_path: Path) -> None:
    """Sixteen clients, two executors that are killed in turn, and everything in the end. Of what
    was acknowledged each is there, once, with the value that was told; and the counters are the
    number of increments that they hold: none was done twice."""
    with executors(tmp_path) as made:
        deploy(made, "faults", worker(CALLS, METHODS))
        made.add()
        clients = Clients(made)
        with ThreadPoolExecutor(CLIENTS) as pool:
            working = [pool.submit(clients.work, number) for number in range(CLIENTS)]
            try:
                for _ in range(KILLS):
                    wanted = clients.count + BETWEEN_KILLS
                    made.wait_for(lambda wanted=wanted: clients.count >= wanted, 60)
                    made.kill()
                    made.add()
                wanted = clients.count + BETWEEN_KILLS
                made.wait_for(lambda: clients.count >= wanted, 60)
            finally:
                clients.stopping.set()
            for each in working:
                each.result(60)
        made.kill_everything()
        for counter, acknowledged in clients.acknowledged.items():
            stored = made.ask(f"{counter}?all")
            assert stored is not None
            value, tokens = json.loads(stored)
            assert sorted(tokens.values()) == list(range(1, value + 1))
            for token, told in acknowledged.items():
                assert tokens[f"token {token}"] == told


def test_an_executor_that_hangs_writes_nothing(tmp_path: Path) -> None:
    """It is stopped amid an event. Another one has the object once the lease is over, and what the
    first one does when it goes on is nowhere: neither stored nor answered."""
    with executors(tmp_path) as made:
        class_id = deploy(made, "faults", worker(CALLS, METHODS))
        assert made.ask("a?first") == b"1"
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(made.ask, "a?slow", 60)
            made.wait_for(lambda: len(made.registry.objects.list(ACCOUNT, class_id).items) == 2)
            (hung,) = made.pids
            os.kill(hung, signal.SIGSTOP)
            try:
                made.add()
                taken_over = next(
                    answer for n in range(20) if (answer := made.ask(f"a?try{n}", 8)) is not None
                )
            finally:
                os.kill(hung, signal.SIGCONT)
            assert slow.result(60) is None
        value = int(taken_over)
        assert value > 100
        assert value < 1000
        stored = made.ask("a?all")
        assert stored is not None
        assert value <= json.loads(stored)[0] < 1000
