"""The library of workers in an isolate that is really locked down: nothing in it asks the kernel
for what the second wall refuses."""

import json
from collections.abc import AsyncIterator

import pytest_asyncio
from workers_cell import compiled

from cloister.settings import Settings
from executor.isolate import frames
from executor.isolates import IsolatePool

WORKER = """
import argparse, asyncio, bz2, codecs, configparser, gc, inspect, io, json, logging.config, lzma
import os, platform, random, secrets, sys, threading, time, tomllib, traceback, uuid
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from datetime import datetime
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from zoneinfo import ZoneInfo
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        parser = argparse.ArgumentParser(prog="p", description="d " * 50)
        parser.add_argument("--x", type=int, default=1, help="an option of %(prog)s")
        with redirect_stdout(io.StringIO()) as out:
            parser.print_help()
            try: parser.parse_args(["--nope"])
            except SystemExit: pass
        config = configparser.ConfigParser()
        config.read("settings.ini")
        mail = EmailMessage()
        mail["Message-ID"], mail["Subject"] = make_msgid(), "\u00fc"
        mail.set_content("text")
        mail.add_attachment(b"1", maintype="a", subtype="b", filename="c")
        condition = threading.Condition()
        with condition: condition.wait(0.001)
        handler = {"class": "logging.StreamHandler", "stream": (stream := io.StringIO())}
        root = {"handlers": ["h"], "level": "INFO"}
        logging.config.dictConfig({"version": 1, "handlers": {"h": handler}, "root": root})
        logging.info("configured")
        logged = stream.getvalue().strip()
        with ThreadPoolExecutor() as pool: squares = list(pool.map(lambda x: x * x, range(3)))
        loop = asyncio.get_running_loop()
        try: 1 / 0
        except ZeroDivisionError: traceback.format_exc()
        try: Path("absent").read_text()
        except FileNotFoundError as error: reason = str(error)
        beside = Path(__file__).parent
        return Response(json.dumps([
            out.getvalue().startswith("usage: p"), config.getint("s", "n"), sorted(os.listdir("/")),
            json.loads(beside.joinpath("data/x.json").read_text()), open("data/x.json").read(3),
            len(mail.as_bytes()) > 100, ET.fromstring("<a><b>1</b></a>").findtext("b"), squares,
            bz2.decompress(bz2.compress(b"1")).decode(), codecs.encode("a", "rot13"),
            lzma.decompress(lzma.compress(b"1")).decode(), str(inspect.signature(self.fetch)),
            await loop.run_in_executor(None, len, "ab"), tomllib.loads("a = 1"), gc.collect() >= 0,
            datetime.strptime("2024", "%Y").year, platform.system(), str(ZoneInfo("UTC")),
            uuid.uuid4().version, len(secrets.token_hex(2)), list(sys.stdin), "uploaded" in reason,
            random.Random(1).random() < 1, time.strptime("2024", "%Y").tm_year, logged,
        ]))
"""
DATA = {"settings.ini": b"[s]\nn = 7\n", "data/x.json": b'{"k": "v"}'}


@pytest_asyncio.fixture
async def pool(tmp_path) -> AsyncIterator[IsolatePool]:
    pool = IsolatePool(Settings.from_env({"CLOISTER_DATA": str(tmp_path)}))
    await pool.start()
    yield pool
    await pool.close()


async def test_the_library_works_behind_the_second_wall(pool):
    """A worker that uses what the library has of files, mail, XML, pools and parsers lives on."""
    modules = compiled({"main.py": WORKER}).modules

    async def load() -> frames.Load:
        return frames.Load(main="main.py", modules=modules, data=DATA)

    isolate = await pool.borrow("version", load)
    loaded = await isolate.receive()
    assert isinstance(loaded, frames.Loaded), loaded
    await isolate.send(frames.Invoke(url="https://w.example/"))
    seen = [await isolate.receive()]
    while not isinstance(seen[-1], frames.Done):
        assert seen[-1] is not None, "the isolate was killed"
        seen.append(await isolate.receive())
    pool.release(isolate, reuse=False)
    errors = [frame.text for frame in seen if isinstance(frame, frames.Log)]
    assert errors == ["usage: p [-h] [--x X]", "p: error: unrecognized arguments: --nope"]
    (answer,) = [frame for frame in seen if isinstance(frame, frames.Head)]
    assert json.loads(answer.body) == [
        *(
            True,
            7,
            ["data", "settings.ini"],
            {"k": "v"},
            '{"k',
            True,
            "1",
            [0, 1, 4],
            "1",
            "n",
            "1",
        ),
        *("(request)", 2, {"a": 1}, True, 2024, "Linux", "UTC", 4, 4, [], True, True, 2024),
        "configured",
    ]
