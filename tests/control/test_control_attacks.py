"""Uploads that are aimed at the control API itself: parts, headers, encodings, archives."""

import gzip
import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import pytest

from control import upload
from control.errors import Refused

SCRIPT = "/workers/dispatch/namespaces/production/scripts/hello"
FORM = {"Content-Type": "multipart/form-data; boundary=xyz"}
MIB = 1024 * 1024
CPU_S_PER_MIB = 1.0
"""Far more than any body takes: 64 MiB of the costliest is ten seconds of one thread."""


def part(disposition: str, data: bytes = b"", *headers: str) -> bytes:
    head = "\r\n".join([f"--xyz\r\nContent-Disposition: {disposition}", *headers])
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"


END = b"--xyz--\r\n"
METADATA = part('form-data; name="metadata"', json.dumps({"main_module": "a.py"}).encode())
MODULE = part('form-data; name="a.py"; filename="a.py"', b"x = 1", "Content-Type: text/x-python")


def of(pattern: bytes, size: int = MIB) -> bytes:
    return pattern * (size // len(pattern))


PARSED: dict[str, bytes] = {
    "nearly boundaries": part('form-data; name="a"', of(b"\r\n--xyzz")) + END,
    "halves of boundaries": part('form-data; name="a"', of(b"\r\n--xy")) + END,
    "line ends": part('form-data; name="a"', of(b"\r\n")) + END,
    "carriage returns": part('form-data; name="a"', of(b"\r")) + END,
    "line ends before": of(b"\r\n") + part('form-data; name="a"') + END,
    "something after": part('form-data; name="a"') + END + of(b"--xyz\r\n"),
    "a form in a form": part(
        'form-data; name="a"', of(METADATA.replace(b"xyz", b"abc")), "Content-Type: multipart/mixed"
    )
    + END,
    "as many parts as may be": part('form-data; name="a"') * upload.MAX_PARTS + END,
}
REFUSED: dict[str, tuple[bytes, str]] = {
    "too many parts": (part('form-data; name="a"') * (upload.MAX_PARTS + 1) + END, "1000 parts"),
    "endless parts": (of(part('form-data; name="a"', b"x")), "1000 parts"),
    "endless headers": (b"--xyz\r\n" + of(b"a: b\r\n"), "header count"),
    "an endless header": (b"--xyz\r\nA: " + of(b"b"), "header size"),
    "an endless header's name": (b"--xyz\r\n" + of(b"b"), "header size"),
    "a folded header": (b"--xyz\r\nA: " + of(b"b\r\n "), "header"),
    "endless parameters": (part('form-data; name="a"; ' + "b=c; " * 10_000), "header size"),
    "no name": (part("form-data") + END, "no Content-Disposition with a name"),
    "a file": (part('attachment; name="a"') + END, "no Content-Disposition with a name"),
    "a name of 300 letters": (part(f'form-data; name="{"a" * 300}"') + END, "1 to 255 printable"),
    "a name that turns": (part('form-data; name="a\u202epy.a"') + END, "1 to 255 printable"),
    "a name with a line end": (part('form-data; name="a%0Ab"\r\n x: y') + END, "parsed"),
    "no end": (part('form-data; name="a"'), "before its closing boundary"),
    "something before": (b"x" * MIB, "could not be parsed"),
}


def chunks(body: bytes) -> Iterator[bytes]:
    return (body[start : start + 65_536] for start in range(0, len(body), 65_536))


def in_time(body: bytes) -> list[upload.Part]:
    """Parse, within the CPU time that so many bytes may take."""
    started = time.thread_time()
    try:
        return upload.parse(chunks(body), b"xyz")
    finally:
        assert time.thread_time() - started < CPU_S_PER_MIB * (1 + len(body) / MIB)


@pytest.mark.parametrize("name", PARSED)
def test_an_odd_body_is_parsed_for_what_it_is(name: str) -> None:
    """What only looks like parts is data, and costs no more than other data by orders."""
    parts = in_time(PARSED[name])
    assert {each.name for each in parts} == {"a"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_body_that_never_ends_is_refused_early(name: str) -> None:
    """With words about what it does, as soon as a bound is passed."""
    body, words = REFUSED[name]
    with pytest.raises(Refused) as refused:
        in_time(body)
    assert words in refused.value.faults[0].message
    assert refused.value.faults[0].code == 10006


def archive(depth: int) -> bytes:
    """Zeros, packed again and again."""
    data = b"\0" * 8 * MIB
    for _ in range(depth):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.py", data)
        data = packed.getvalue()
    return data


def test_an_archive_is_not_opened(api: httpx.Client, executor: Any) -> None:
    """Its own type is refused; as data it stays what it is, however deep it goes."""
    packed = archive(3)

    def put(content_type: str) -> httpx.Response:
        files = {
            "metadata": (None, json.dumps({"main_module": "a.py"}), "application/json"),
            "a.py": ("a.py", b"x = 1", "text/x-python"),
            "more.zip": ("more.zip", packed, content_type),
        }
        return api.put(SCRIPT, files=files)

    refused = put("application/zip")
    assert refused.status_code == 400
    assert "content type is not known here" in refused.json()["errors"][0]["message"]
    assert executor.jobs == []
    assert put("application/octet-stream").status_code == 200
    assert packed in api.get(f"{SCRIPT}/content").content


def high_water_kb(process: "Popen[str]") -> int:
    """The most memory that the server's processes held."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    texts = (Path(f"/proc/{pid}/status").read_text() for pid in children)
    return max(int(text.partition("VmHWM:")[2].split()[0]) for text in texts)


def test_a_packed_body_is_not_unpacked(client: httpx.Client, process: "Popen[str]") -> None:
    """Neither the whole body nor a part, whatever their headers say."""
    body = gzip.compress(METADATA + part('form-data; name="a.py"', b"\0" * 60 * MIB) + END)
    before_kb = high_water_kb(process)
    refused = client.put(SCRIPT, content=body, headers=FORM | {"Content-Encoding": "gzip"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 10006)
    inner = part(
        'form-data; name="a.py"',
        body,
        "Content-Encoding: gzip",
        "Content-Transfer-Encoding: base64",
    )
    refused = client.put(SCRIPT, content=inner + END, headers=FORM)
    assert "exactly one part named metadata" in refused.json()["errors"][0]["message"]
    assert high_water_kb(process) - before_kb < 30 * 1024


BODIES = {
    "nearly boundaries": part('form-data; name="a"', of(b"\r\n--xyzz", 4 * MIB)) + END,
    "many modules": MODULE * 900 + END,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_api_answers_beside_an_upload(client: httpx.Client, body: bytes) -> None:
    """While a hostile one is on its way, others are served; after it, its places are free."""
    half, answered = threading.Event(), threading.Event()
    answers: list[httpx.Response] = []

    def sent() -> Iterator[bytes]:
        yield body[: len(body) // 2]
        half.set()
        assert answered.wait(30)
        yield body[len(body) // 2 :]

    def send() -> None:
        answers.append(client.put(SCRIPT, content=sent(), headers=FORM))

    uploads = [threading.Thread(target=send) for _ in range(2)]
    uploads[0].start()
    assert half.wait(30)
    uploads[1].start()
    assert client.get("/workers/dispatch/namespaces").status_code == 200
    answered.set()
    for each in uploads:
        each.join(60)
    assert [answer.status_code for answer in answers] == [400, 400]
    assert client.get("/workers/dispatch/namespaces").status_code == 200
