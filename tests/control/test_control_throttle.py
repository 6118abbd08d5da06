"""The API's rate limit: what counts, what a client is told, and what happens without Valkey."""

import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudflare
import httpx
import pytest
import redis
from cloudflare import Cloudflare
from flask import Flask

from cloister.broker import redis_client
from cloister.registry import Registry
from cloister.settings import Settings
from control.app import create_app
from control.budget import WINDOW_S, Budget, token_key

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
TOKEN = "test-token-0123456789abcdef"
LIMIT = 3
KEYS = "cloister:api-requests:*"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, api_requests=LIMIT)


@pytest.fixture
def token_id(registry: Registry) -> str:
    found = registry.tokens.verify(TOKEN)
    assert found is not None
    return found.id


def ask(app: Flask, path: str = f"/accounts/{ACCOUNT}", token: str = TOKEN) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client().get(f"/client/v4{path}", headers=headers)


def test_the_limit(app: Flask, registry: Registry, valkey: redis.Redis, token_id: str) -> None:
    """The last request that fits is served, the next one is 429 with all that a client needs, and
    another token is served still; once the window is over, the first one is too."""
    for left in (2, 1, 0):
        served = ask(app)
        assert served.status_code == 200
        assert served.headers["Ratelimit"].startswith(f'"default";r={left};t=')
        assert served.headers["Ratelimit-Policy"] == f'"default";q={LIMIT};w={WINDOW_S}'
        assert "Retry-After" not in served.headers
    refused = ask(app)
    assert refused.status_code == 429
    body = refused.get_json()
    assert (body["success"], body["result"]) == (False, None)
    assert [error["code"] for error in body["errors"]] == [971]
    assert 0 < int(refused.headers["Retry-After"]) <= WINDOW_S
    assert refused.headers["Ratelimit"].startswith('"default";r=0;t=')
    other = registry.tokens.create(ACCOUNT, "other").text
    assert ask(app, token=other).status_code == 200
    valkey.delete(token_key(token_id))  # as when the window ends
    assert ask(app).status_code == 200


def test_refusals_count_and_do_not_prolong_the_window(
    app: Flask, valkey: redis.Redis, token_id: str
) -> None:
    """What a token may not do or is wrong counts too; the window ends when it would have."""
    assert ask(app, f"/accounts/{OTHER_ACCOUNT}").status_code == 403
    assert ask(app, f"/accounts/{ACCOUNT}/workers/dispatch/namespaces/gone").status_code == 404
    valkey.pexpire(token_key(token_id), 60_000)
    assert ask(app).status_code == 200
    for _ in range(5):
        assert int(ask(app).headers["Retry-After"]) <= 60


def test_processes_count_together(
    app: Flask, settings: Settings, registry: Registry, valkey: redis.Redis
) -> None:
    """Two control processes have one count."""
    another = create_app(settings, registry=registry, client=valkey)
    answers = [ask(each).status_code for each in (app, another, app, another)]
    assert answers == [200, 200, 200, 429]


def test_requests_at_once(settings: Settings) -> None:
    """Whatever the order, exactly as many are let in as the limit says."""
    with redis_client(settings) as client:
        budget = Budget(client, 50)
        with ThreadPoolExecutor(8) as pool:
            spent = list(pool.map(lambda _: budget.spend("t"), range(80)))
        assert sum(each is not None and not each.over for each in spent) == 50
        assert 0 < client.ttl(token_key("t")) <= WINDOW_S


def test_strangers_leave_nothing(app: Flask, valkey: redis.Redis) -> None:
    """Whoever has no good token is refused without a key being written; one who has writes one."""
    for number in range(20):
        assert ask(app, token=f"guess-{number}").status_code == 401
        assert ask(app, f"/{number}").status_code in {401, 404}
    assert app.test_client().get("/client/v4/user").status_code == 401
    assert list(valkey.scan_iter(KEYS)) == []
    ask(app)
    assert len(list(valkey.scan_iter(KEYS))) == 1


def test_no_limit(settings: Settings, registry: Registry, valkey: redis.Redis) -> None:
    """0 serves any number, counts nothing and says nothing."""
    app = create_app(replace(settings, api_requests=0), registry=registry, client=valkey)
    for _ in range(LIMIT + 2):
        served = ask(app)
        assert served.status_code == 200
        assert "Ratelimit" not in served.headers
    assert list(valkey.scan_iter(KEYS)) == []


def test_without_valkey(
    settings: Settings,
    registry: Registry,
    valkey: redis.Redis,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Everything is served, and the log says once that nothing is counted."""
    away = replace(settings, redis_url=f"unix://{tmp_path / 'nobody.sock'}")
    app = create_app(away, registry=registry, client=valkey)
    with caplog.at_level(logging.ERROR, "control"):
        assert [ask(app).status_code for _ in range(LIMIT + 2)] == [200] * (LIMIT + 2)
    assert len([line for line in caplog.records if "not counted" in line.message]) == 1


def test_with_a_valkey_that_hangs(
    settings: Settings, registry: Registry, valkey: redis.Redis, tmp_path: Path
) -> None:
    """One request waits for it, briefly; those after it do not."""
    path = tmp_path / "hangs.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(10)
        app = create_app(
            replace(settings, redis_url=f"unix://{path}"), registry=registry, client=valkey
        )
        assert [ask(app).status_code for _ in range(LIMIT + 2)] == [200] * (LIMIT + 2)
        server.accept()[0].close()
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


Retries = Callable[[int], Cloudflare]


@pytest.fixture
def patient(url: str, valkey: redis.Redis, token_id: str) -> Iterator[Retries]:
    """The official SDK with so many retries; the window ends as soon as it was refused twice."""
    refusals: list[int] = []

    def notice(response: httpx.Response) -> None:
        if response.status_code == 429:
            refusals.append(response.status_code)
            if len(refusals) == 2:
                valkey.delete(token_key(token_id))

    with httpx.Client(trust_env=False, event_hooks={"response": [notice]}) as http:
        yield lambda retries: Cloudflare(
            api_token=TOKEN,
            base_url=f"{url}/client/v4",
            http_client=http,
            max_retries=retries,
        )
        assert refusals == [429, 429]


def test_the_sdk_comes_again_by_itself(patient: Retries) -> None:
    """The official SDK's caller sees no 429 as long as the SDK has retries left."""
    client = patient(2)
    accounts = [client.accounts.get(account_id=ACCOUNT) for _ in range(LIMIT + 1)]
    assert all(account is not None and account.id == ACCOUNT for account in accounts)


def test_the_sdk_says_that_it_gave_up(patient: Retries) -> None:
    """Without any left it raises the class of this status, with our code."""
    client = patient(1)
    for _ in range(LIMIT):
        client.accounts.get(account_id=ACCOUNT)
    with pytest.raises(cloudflare.RateLimitError) as caught:
        client.accounts.get(account_id=ACCOUNT)
    assert caught.value.errors[0].code == 971
