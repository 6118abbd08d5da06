"""The streaming multipart parser: any split, any order, and what is malformed."""

import tracemalloc
from collections.abc import Iterator

import pytest
from flask import Flask

from control import bodies, upload
from control.errors import SCRIPT_TOO_LARGE, Refused

BODY = (
    b"--xyz\r\n"
    b'Content-Disposition: form-data; name="metadata"; filename="blob"\r\n'
    b"Content-Type: application/json; charset=utf-8\r\n\r\n"
    b'{"main_module": "a.py"}\r\n'
    b"--xyz\r\n"
    b'content-disposition: form-data; name="a.py"\r\n\r\n'
    b"--xy\r\n\r\n--xyy\r\n"
    b"--xyz\r\n"
    b'Content-Disposition: form-data; name="files"; filename="sub/\xc3\xbc.txt"\r\n'
    b"Content-Type: TEXT/plain\r\n\r\n"
    b"\r\n--xyz--\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_parts_are_the_same_however_they_arrive(size: int) -> None:
    """Chunk borders inside boundaries, headers or data change nothing."""
    chunks = [BODY[i : i + size] for i in range(0, len(BODY), size)]
    metadata, module, data = upload.parse(chunks, b"xyz")
    assert (metadata.name, metadata.content_type) == ("metadata", "application/json")
    assert module.module_name == "a.py"
    assert module.content_type is None
    assert module.data == b"--xy\r\n\r\n--xyy"
    assert data.module_name == "sub/ü.txt"
    assert (data.content_type, data.data) == ("text/plain", b"")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not multipart",
        BODY[:-10],
        b"--xyz\r\n\r\nno headers\r\n--xyz--\r\n",
        b"--xyz\r\nContent-Disposition: attachment; name=x\r\n\r\n\r\n--xyz--\r\n",
        b'--xyz\r\nContent-Disposition: form-data; name=""\r\n\r\n\r\n--xyz--\r\n',
        b'--xyz\r\nContent-Disposition: form-data; name="a\x00b"\r\n\r\n\r\n--xyz--\r\n',
        b'--xyz\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\r\n--xyz--\r\n',
        b"--xyz\r\nContent-Disposition: form-data; name=" + b"x" * 300 + b"\r\n\r\n\r\n--xyz--\r\n",
    ],
)
def test_malformed_bodies_are_refused(body: bytes) -> None:
    """Cut off, without names, or with names that are none: 10006."""
    with pytest.raises(Refused) as caught:
        upload.parse([body], b"xyz")
    assert caught.value.faults[0].code == 10006


def test_part_count_is_bounded() -> None:
    """A body of nothing but parts is refused early."""
    one = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    with pytest.raises(Refused, match="1000 parts"):
        upload.parse([one * (upload.MAX_PARTS + 1)], b"xyz")


class Endless:
    """A client that never stops sending; counts what is taken from it."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        self.taken += size
        return b"x" * size


def test_upload_is_bounded_while_it_arrives() -> None:
    """An endless upload is refused at the limit, not after, and holds no more than it."""
    app, source = Flask("test"), Endless()
    limit = 1024 * 1024
    with app.test_request_context(
        method="PUT",
        headers={"Content-Type": "multipart/form-data; boundary=xyz"},
        environ_overrides={"wsgi.input": source, "wsgi.input_terminated": True},
    ):
        head = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
        tracemalloc.start()

        def chunks() -> Iterator[bytes]:
            yield head
            yield from bodies.chunks(limit, SCRIPT_TOO_LARGE)

        with pytest.raises(Refused) as caught:
            upload.parse(chunks(), b"xyz")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert caught.value.faults[0].code == 10027
    assert source.taken <= limit + bodies.DRAIN_BYTES + 2 * bodies.CHUNK_BYTES
    assert peak < 4 * limit
