"""R2 objects while an executor is killed in the middle of puts."""

import hashlib
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from executor_house import ACCOUNT, House, worker

from cloister.messages import Head, decode_frame
from cloister.r2_store import R2Store
from cloister.registry import r2_objects
from cloister.registry.database import now_ms

WRITERS = 4
BETWEEN_KILLS = 12
KILLS = 2
PIECE = 256 * 1024
PIECES = 5

SOURCE = f"""
asked = request.url.partition("?")[2]
key, number = asked.split("-")
async def pieces():
    for _ in range({PIECES}):
        yield bytes([int(number) % 256]) * {PIECE}
await self.env.BUCKET.put(key, pieces(), customMetadata={{"n": number}})
await self.env.BUCKET.put("small " + key, number)
return Response(number)
"""


class Writer:
    """Puts numbers under one key, one after the other, as long as it is answered."""

    def __init__(self, house: House, key: str) -> None:
        self._house = house
        self._key = key
        self.answered = 0
        self.asked = 0

    def write(self, stop: threading.Event, answers: threading.Semaphore) -> None:
        while not stop.is_set():
            self.asked += 1
            url = f"http://w.localhost/?{self._key}-{self.asked}"
            invocation = self._house.invocation("production", "w", url=url)
            self._house.publish(invocation)
            while not stop.is_set():
                popped = self._house.redis.blpop([invocation.reply_to], timeout=0.1)
                if popped is not None:
                    frame = decode_frame(popped[1])
                    assert isinstance(frame, Head), frame
                    assert frame.status == 200, frame
                    self.answered = self.asked
                    answers.release()
                    break


def kill(house: House) -> None:
    """Kill the executor, with its isolates."""
    process, reader = house.worker, house._reader
    assert process is not None
    assert reader is not None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    reader.join(10)
    assert process.stdout is not None
    process.stdout.close()
    house.worker = None
    house.redis.flushdb()  # what it had not taken yet is not for the next one


@pytest.mark.timeout(120)
def test_what_was_answered_is_there_and_the_rest_is_whole_or_not(tmp_path: Path) -> None:
    """Each object has what was answered last for its key, or something newer, whole; and nothing is
    left in the store but the bytes of objects, once what was broken off is collected."""
    house = House(tmp_path, blank_isolates=1)
    house.start()
    try:
        house.namespace("production")
        bucket = house.registry.r2.create(
            ACCOUNT, "files", location="weur", storage_class="Standard"
        )
        binding = {"type": "r2_bucket", "name": "BUCKET", "bucket_name": "files"}
        house.start_worker()
        house.deploy("production", "w", worker(SOURCE), bindings=[binding])
        writers = [Writer(house, f"k{number}") for number in range(WRITERS)]
        store = R2Store(house.registry.r2, house.blobs)
        for _ in range(KILLS):
            stop, answers = threading.Event(), threading.Semaphore(0)
            with ThreadPoolExecutor(WRITERS) as threads:
                done = [threads.submit(each.write, stop, answers) for each in writers]
                for _ in range(BETWEEN_KILLS):
                    assert answers.acquire(timeout=30)
                kill(house)
                stop.set()
            for each in done:
                each.result()
            _check(store, bucket.id, writers)
            house.start_worker()
        kill(house)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(r2_objects, "now_ms", lambda: now_ms() + 3 * 24 * 3_600_000)
            store.collect()
        listed = house.registry.r2.objects.list(bucket.id).objects
        left = {path.name for path in (tmp_path / "blobs" / "objects").iterdir()}
        assert {each.version for each in listed} == left
    finally:
        house.stop()


def _check(store: R2Store, bucket_id: str, writers: list[Writer]) -> None:
    for writer in writers:
        for key in (writer._key, f"small {writer._key}"):
            view = store.r2.objects.find(bucket_id, key)
            if view is None:
                assert writer.answered == 0
                continue
            stream = store.read(view, 0, view.size)
            assert stream is not None
            data = b"".join(stream)
            assert len(data) == view.size
            assert hashlib.md5(data).hexdigest() == view.etag
            number = int(view.custom_metadata["n"]) if view.custom_metadata else int(data)
            assert writer.answered <= number <= writer.asked
            if view.custom_metadata:
                assert data == bytes([number % 256]) * (PIECE * PIECES)
