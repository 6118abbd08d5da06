"""Bodies in both directions: to the byte, chunk by chunk, bounded, and given up in time."""

import hashlib
import threading
import time

import pytest
from dispatcher_rig import Dispatcher, FakeExecutor, eventually

from cloister.messages import (
    INLINE_BODY_BYTES,
    STREAM_WINDOW_BYTES,
    Cancel,
    Chunk,
    Credit,
    Failure,
    Head,
    Invocation,
    body_list,
)
from cloister.outcomes import Outcome


@pytest.mark.parametrize("size", [0, 1, INLINE_BODY_BYTES, INLINE_BODY_BYTES + 1, 5_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_request_bodies_to_the_byte(dispatcher: Dispatcher, size: int, framing: str) -> None:
    """Small bodies ride in the message, large ones beside it; none loses a byte."""
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]

    def digest(executor: FakeExecutor, invocation: Invocation) -> None:
        received = executor.body(invocation)
        executor.answer(invocation, hashlib.sha256(received).hexdigest().encode())

    dispatcher.play(f"digest-{size}-{framing}", digest)
    host = f"digest-{size}-{framing}.localhost"
    if framing == "length":
        head = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n".encode()
        answer = dispatcher.raw(head + body)
    else:
        chunks = [body[i : i + 100_000] for i in range(0, size, 100_000)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
        head = f"POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        answer = dispatcher.raw(head + framed)
    assert answer.body.decode() == hashlib.sha256(body).hexdigest()
    (invocation,) = dispatcher.executor.invocations(f"digest-{size}-{framing}")
    assert invocation.body_is_streamed == (size > INLINE_BODY_BYTES)
    eventually(
        lambda: not dispatcher.executor.client.exists(body_list(invocation.id)), "list is gone"
    )


def test_large_upload_waits_for_the_executor(dispatcher: Dispatcher) -> None:
    """While nobody takes the chunks, few of them are on the list: the client is held up."""
    gate = threading.Event()
    lengths: list[int] = []

    def slow(executor: FakeExecutor, invocation: Invocation) -> None:
        gate.wait(20)
        lengths.append(executor.client.llen(body_list(invocation.id)))
        executor.answer(invocation, str(len(executor.body(invocation))).encode())

    dispatcher.play("slow", slow)
    size = 40_000_000
    with dispatcher.client() as client:
        client.send(
            f"PUT / HTTP/1.1\r\nHost: slow.localhost\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        sender = threading.Thread(target=client.send, args=(b"x" * size,))
        sender.start()
        eventually(lambda: dispatcher.executor.invocations("slow"), "the invocation")
        key = body_list(dispatcher.executor.invocations("slow")[0].id)
        eventually(lambda: dispatcher.executor.client.llen(key) >= 16, "a full list")
        gate.set()
        assert client.answer().body == str(size).encode()
        sender.join()
    assert lengths[0] <= 17


def test_an_upload_that_pauses(dispatcher: Dispatcher) -> None:
    """What has come of a body is there for the worker, however little, before more comes."""
    pieces = (INLINE_BODY_BYTES + 1, 5, 3)
    taken: list[int] = []

    def play(executor: FakeExecutor, invocation: Invocation) -> None:
        taken.extend(len(chunk) for chunk in executor.body_chunks(invocation))
        executor.answer(invocation, b"taken")

    dispatcher.play("pausing", play)
    with dispatcher.client() as client:
        head = "PUT / HTTP/1.1\r\nHost: pausing.localhost\r\nContent-Length: "
        client.send(f"{head}{sum(pieces)}\r\n\r\n".encode())
        for number, size in enumerate(pieces, 1):
            client.send(b"x" * size)
            come = sum(pieces[:number])
            eventually(lambda come=come: sum(taken) == come, "what was sent")
        assert client.answer().body == b"taken"


def test_body_over_the_limit_by_its_length(dispatcher: Dispatcher) -> None:
    """A Content-Length over the limit is 413 at once, no worker hears of it."""
    dispatcher.play("over", lambda ex, inv: ex.answer(inv, b""))
    size = dispatcher.settings.request_body_bytes + 1
    answer = dispatcher.raw(
        f"POST / HTTP/1.1\r\nHost: over.localhost\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    assert answer.status == 413
    assert dispatcher.executor.invocations("over") == []


def stream(executor: FakeExecutor, invocation: Invocation) -> None:
    executor.begin(invocation, ("content-type", "text/event-stream"))


def test_response_streams_chunk_by_chunk(dispatcher: Dispatcher) -> None:
    """The head is at the client before the first chunk is made, and each chunk before the next."""
    dispatcher.play("sse", stream)
    with dispatcher.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: sse.localhost\r\n\r\n")
        assert client.head()["content-type"] == "text/event-stream"
        (invocation,) = dispatcher.executor.invocations("sse")
        for n in range(3):
            data = b"data: %d\n\n" % n
            dispatcher.executor.reply(invocation, Chunk(id=invocation.id, data=data))
            assert client.chunk() == data
        dispatcher.executor.end(invocation)
        assert client.chunk() == b""
        client.send(b"GET / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n")
        assert client.answer().status == 200


def test_first_bytes_in_the_head_frame(dispatcher: Dispatcher) -> None:
    """A head frame may carry the first bytes of a stream."""

    def play(executor: FakeExecutor, invocation: Invocation) -> None:
        head = Head(id=invocation.id, status=201, headers=[], executor=executor.id, body=b"ab")
        executor.reply(invocation, head, Chunk(id=invocation.id, data=b"c"))
        executor.end(invocation)

    dispatcher.play("first", play)
    answer = dispatcher.request("first.localhost")
    assert (answer.status, answer.body) == (201, b"abc")


def test_credits_follow_the_client(dispatcher: Dispatcher) -> None:
    """The executor is granted as many bytes as the client has taken, up to a part of the window;
    a client that does not read grants nothing more."""
    total = 3 * STREAM_WINDOW_BYTES

    def play(executor: FakeExecutor, invocation: Invocation) -> None:
        executor.begin(invocation)
        window, sent = STREAM_WINDOW_BYTES, 0
        deadline = time.monotonic() + 20
        while sent < total and time.monotonic() < deadline:
            granted = sum(
                n.bytes
                for n in list(executor.notes)
                if isinstance(n, Credit) and n.id == invocation.id
            )
            if sent >= window + granted:
                time.sleep(0.005)
                continue
            executor.reply(invocation, Chunk(id=invocation.id, data=b"x" * 65536))
            sent += 65536
        executor.end(invocation)

    dispatcher.play("credits", play)
    assert len(dispatcher.request("credits.localhost").body) == total


def test_client_that_leaves_before_the_head(dispatcher: Dispatcher) -> None:
    """All executors are told to cancel: nobody knows yet which one has it."""
    dispatcher.play("left", lambda ex, inv: None)
    with dispatcher.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: left.localhost\r\n\r\n")
        eventually(lambda: dispatcher.executor.invocations("left"), "the invocation")
    (invocation,) = dispatcher.executor.invocations("left")
    eventually(lambda: Cancel(id=invocation.id) in dispatcher.executor.notes, "a cancel note")


def test_client_that_leaves_during_the_body(dispatcher: Dispatcher) -> None:
    """The executor of the stream is told to cancel."""
    dispatcher.play("gone", stream)
    with dispatcher.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: gone.localhost\r\n\r\n")
        eventually(lambda: dispatcher.executor.invocations("gone"), "the invocation")
        (invocation,) = dispatcher.executor.invocations("gone")
        client.head()
    eventually(lambda: Cancel(id=invocation.id) in dispatcher.executor.notes, "a cancel note")


def test_client_that_leaves_during_its_own_body(dispatcher: Dispatcher) -> None:
    """Half an upload cancels the invocation, and its list is deleted."""
    dispatcher.play("half", lambda ex, inv: None)
    with dispatcher.client() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: half.localhost\r\nContent-Length: 1000000\r\n\r\n")
        client.send(b"x" * 600_000)
        eventually(lambda: dispatcher.executor.invocations("half"), "the invocation")
    (invocation,) = dispatcher.executor.invocations("half")
    eventually(lambda: Cancel(id=invocation.id) in dispatcher.executor.notes, "a cancel note")
    eventually(lambda: not dispatcher.executor.client.exists(body_list(invocation.id)), "no list")


def test_failure_after_the_head_is_no_clean_end(dispatcher: Dispatcher) -> None:
    """A response that broke off ends without the last chunk: the client can tell."""

    def play(executor: FakeExecutor, invocation: Invocation) -> None:
        executor.begin(invocation)
        executor.reply(
            invocation,
            Chunk(id=invocation.id, data=b"part"),
            Failure(id=invocation.id, outcome=Outcome.EXCEPTION, message="boom"),
        )

    dispatcher.play("broken", play)
    with dispatcher.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: broken.localhost\r\n\r\n")
        client.head()
        assert client.chunk() == b"part"
        assert client.at_end()


def test_head_of_a_stream(dispatcher: Dispatcher) -> None:
    """HEAD of a streamed response sends no byte of it and cancels the stream."""
    dispatcher.play("headstream", stream)
    with dispatcher.client() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: headstream.localhost\r\n\r\n")
        assert client.answer("HEAD").status == 200
        (invocation,) = dispatcher.executor.invocations("headstream")
        eventually(lambda: Cancel(id=invocation.id) in dispatcher.executor.notes, "a cancel note")
        client.send(b"GET / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n")
        assert client.answer().status == 200


def test_answer_before_the_body_was_taken(dispatcher: Dispatcher) -> None:
    """A worker may answer without reading the upload; the client gets the whole answer."""
    dispatcher.play("hasty", lambda ex, inv: ex.answer(inv, b"enough"))
    size = 900_000
    with dispatcher.client() as client:
        client.send(
            f"PUT / HTTP/1.1\r\nHost: hasty.localhost\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        client.send(b"x" * size)
        assert client.answer().body == b"enough"
