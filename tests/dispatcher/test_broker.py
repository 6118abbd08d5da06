"""The Celery app and the hand-built message, against kombu's own and a real worker."""

import base64
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection
from kombu.transport.virtual import Channel

from cloister.broker import _kombu_url, celery_app, celery_message, redis_client, redis_url
from cloister.messages import COMPILE_QUEUE, COMPILE_TASK, DISPATCH_TASK
from cloister.settings import Settings

PAYLOAD = bytes(range(256)) * 40
QUEUE = "dispatch.production"


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url)


def send(settings: Settings, task: str, payload: bytes, **options: str) -> None:
    with celery_app(settings) as app, app.connection_for_write() as connection:
        app.send_task(task, [payload], connection=connection, ignore_result=True, **options)


def sent_by_celery(settings: Settings) -> dict[str, Any]:
    send(settings, DISPATCH_TASK, PAYLOAD, queue=QUEUE)
    with redis_client(settings) as client:
        data = client.rpop(QUEUE)
    assert isinstance(data, bytes)
    return dict(json.loads(data))


def test_message_is_the_one_that_celery_sends(settings: Settings) -> None:
    """Field by field the raw message equals kombu's, but for ids and the shown arguments."""
    theirs = sent_by_celery(settings)
    ours = json.loads(celery_message(DISPATCH_TASK, PAYLOAD, QUEUE))
    assert ours["headers"]["id"] == ours["headers"]["root_id"]
    assert ours["headers"]["id"] == ours["properties"]["correlation_id"]
    for message in (theirs, ours):
        for name in ("id", "root_id", "argsrepr"):
            assert isinstance(message["headers"].pop(name), str)
        for name in ("correlation_id", "delivery_tag", "reply_to"):
            assert isinstance(message["properties"].pop(name), str)
    assert base64.b64decode(ours["body"]) == base64.b64decode(theirs["body"])
    assert ours == theirs


def test_message_ids_differ() -> None:
    """Two messages never share an id or a delivery tag (acknowledgement goes by the tag)."""
    one, two = (json.loads(celery_message("t", b"", "q")) for _ in range(2))
    assert one["headers"]["id"] != two["headers"]["id"]
    assert one["properties"]["delivery_tag"] != two["properties"]["delivery_tag"]


def test_kombu_decodes_the_message(settings: Settings) -> None:
    """kombu's own message class decodes the body to the arguments, msgpack only accepted."""
    celery_app(settings)
    with Connection("memory://") as connection:
        channel: Channel = connection.default_channel
        raw = json.loads(celery_message(DISPATCH_TASK, PAYLOAD, QUEUE))
        message = channel.Message(raw, channel=channel, accept=["application/x-msgpack"])
        args, kwargs, canvas = message.decode()
    assert args == [PAYLOAD]
    assert kwargs == {}
    assert set(canvas) == {"callbacks", "errbacks", "chain", "chord"}


WORKER = """
    import redis, sys
    from cloister.broker import celery_app
    from cloister.settings import Settings
    settings = Settings(redis_url=sys.argv[1])
    app = celery_app(settings)

    @app.task(name="cloister.dispatch")
    def dispatch(payload):
        redis.Redis.from_url(sys.argv[1]).rpush("seen", payload)

    app.worker_main(["worker", "-P", "solo", "-Q", "dispatch.production", "-l", "WARNING",
                     "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


def test_ordinary_worker_runs_both(settings: Settings, tmp_path: Path) -> None:
    """An unmodified Celery worker runs the raw message and Celery's own alike."""
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    with redis_client(settings) as client:
        send(settings, DISPATCH_TASK, b"theirs", queue=QUEUE)
        client.lpush(QUEUE, celery_message(DISPATCH_TASK, PAYLOAD, QUEUE))
        worker = subprocess.Popen([sys.executable, str(script), settings.redis_url])
        try:
            first, second = (client.blpop(["seen"], timeout=25) for _ in range(2))
        finally:
            worker.terminate()
            worker.wait(20)
    assert first is not None
    assert second is not None
    assert first[1] == b"theirs"
    assert second[1] == PAYLOAD


def test_compile_jobs_go_to_their_queue(settings: Settings) -> None:
    """A compile job sent by name lands on the compile queue; pickle is never accepted."""
    send(settings, COMPILE_TASK, b"")
    with redis_client(settings) as client:
        assert client.llen(COMPILE_QUEUE) == 1
    with celery_app(settings) as app:
        assert app.conf.accept_content == ["application/x-msgpack"]


@pytest.mark.parametrize(
    ("url", "kombu_url"),
    [
        ("unix:///a/valkey.sock", "redis+socket:///a/valkey.sock?virtual_host=0"),
        ("unix://u:p@/a%20b/v.sock?db=3", "redis+socket://u:p@/a%20b/v.sock?virtual_host=3"),
        ("redis://h:1/2", "redis://h:1/2"),
        ("rediss://h:1/2", "rediss://h:1/2"),
    ],
)
def test_kombu_spelling_of_urls(url: str, kombu_url: str) -> None:
    """Only unix sockets are spelled differently for kombu."""
    assert _kombu_url(url) == kombu_url


def test_embedded_url_is_a_socket_in_the_data_directory(tmp_path: Path) -> None:
    """Without a URL the server is the embedded one, whatever characters its path has."""
    url = redis_url(Settings(data=str(tmp_path / "a b")))
    client = redis.Redis.from_url(url)
    assert client.connection_pool.connection_kwargs["path"] == f"{tmp_path}/a b/valkey.sock"
    client.close()
