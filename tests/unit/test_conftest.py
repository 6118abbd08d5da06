"""The fixtures themselves."""

import redis


def test_each_test_gets_an_empty_real_valkey(redis_url: str) -> None:
    """The server answers, is a Valkey, and holds nothing of an earlier test."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.info("server")["server_name"] == "valkey"
        assert client.dbsize() == 0
