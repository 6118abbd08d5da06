"""What a worker was told is written stays written, whatever dies: real processes, killed."""

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from executor_house import ACCOUNT, House, house, worker
from redis import RedisError

from cloister.messages import Head, decode_frame

MAKER = worker(
    "await self.env.DB.exec('CREATE TABLE t (a, b, UNIQUE (a, b))')\nreturn Response('made')"
)
WRITER = worker(
    """
number = int(request.url.partition("?")[2])
put = self.env.DB.prepare("INSERT INTO t VALUES (?1, ?2)")
await self.env.DB.batch([put.bind(number, half) for half in ("left", "right")])
return Response("written")
"""
)
READER = worker(
    """
import json
found = await self.env.DB.prepare("SELECT a, count(*) FROM t GROUP BY a").raw()
check = await self.env.DB.prepare("PRAGMA quick_check").first("quick_check")
return Response(json.dumps([found, check]))
"""
)
AT_LEAST = 30
DEADLINE_S = 60.0


def write(made: House, numbers: Iterator[int], answered: list[int], stop: threading.Event) -> None:
    """Have numbers written, one after the other; which were answered with success."""
    while not stop.is_set():
        number = next(numbers)
        invocation = made.invocation("faults", "writer", url=f"http://writer.localhost/?{number}")
        try:
            made.publish(invocation)
            popped = made.redis.blpop([invocation.reply_to], timeout=2)
        except RedisError:
            return
        frame = decode_frame(popped[1]) if popped else None  # type: ignore[index]
        if isinstance(frame, Head) and frame.status == 200:
            answered.append(number)


def kill_everything(made: House) -> None:
    """The executor with its isolates and databases, which the kernel ends with it, and Valkey."""
    assert made.worker is not None
    assert made.valkey is not None
    os.killpg(made.worker.pid, signal.SIGKILL)
    made.valkey.kill()
    made.worker.wait(10)


def test_what_a_worker_was_answered_survives_a_kill_of_everything(tmp_path: Path) -> None:
    """A worker writes, each time two rows in a batch, and everything is killed meanwhile. All that
    was answered is there, no half of a batch is, and the database is whole: twice, so that the
    second kill finds what the first one left."""
    with house(tmp_path, blank_isolates=1) as made:
        database = made.registry.databases.create(ACCOUNT, "shop").id
        binding = {"type": "d1", "name": "DB", "database_id": database}
        made.namespace("faults")
        for name, source in (("maker", MAKER), ("writer", WRITER), ("reader", READER)):
            made.deploy("faults", name, source, bindings=[binding])
        assert made.call("faults", "maker").body == b"made"
        numbers, everything = itertools.count(), set[int]()
        for _ in range(2):
            answered: list[int] = []
            stop = threading.Event()
            thread = threading.Thread(target=write, args=(made, numbers, answered, stop))
            thread.start()
            try:
                made.wait_for(lambda done=answered: len(done) > AT_LEAST, DEADLINE_S)
                kill_everything(made)
            finally:
                stop.set()
                thread.join(30)
            made.stop_worker()
            made.stop_valkey()
            made.start_valkey()
            made.start_worker()
            everything |= {*answered}
            rows, check = json.loads(made.call("faults", "reader").body)
            found = dict(rows)
            assert everything <= found.keys()
            assert {*found.values()} == {2}
            assert check == "ok"
