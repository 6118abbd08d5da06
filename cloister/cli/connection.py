"""How commands find the control API: options, then environment, then the credentials file."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from cloister import addresses, credentials
from cloister.client import Client
from cloister.errors import CloisterError
from cloister.settings import Settings

R = TypeVar("R")


class NoCredentials(CloisterError):
    """There is no API token. Start `cloister up` here first, or give --token and --account."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where and as whom; ``dispatch_url`` is only for showing addresses of workers."""

    client: Client
    namespace: str
    dispatch_url: str


def connected(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the connection options, and a :class:`Connection` as its first argument."""

    @click.option("--url", help="Address of the control API [env: CLOUDFLARE_API_BASE_URL].")
    @click.option("--account", help="Account id [env: CLOISTER_ACCOUNT_ID].")
    @click.option("--token", help="API token [env: CLOISTER_API_TOKEN].")
    @functools.wraps(command)
    def with_connection(
        *args: Any, url: str | None, account: str | None, token: str | None, **options: Any
    ) -> R:
        connection = connect(url, account, token)
        with connection.client:
            return command(connection, *args, **options)

    return with_connection


def connect(
    url: str | None = None, account: str | None = None, token: str | None = None
) -> Connection:
    """Gather what the options leave open.

    Raises:
        NoCredentials: no token or account is known.
    """
    settings = Settings.from_env()
    saved = credentials.load(settings.data_dir)
    account = account or settings.account_id or (saved.account_id if saved else "")
    token = token or settings.api_token or (saved.api_token if saved else "")
    url = url or os.environ.get("CLOUDFLARE_API_BASE_URL") or (saved.control_url if saved else "")
    if not account or not token:
        raise NoCredentials
    return Connection(
        client=Client(url or addresses.url(settings.control_bind), account, token),
        namespace=saved.namespace if saved else settings.default_namespace,
        dispatch_url=saved.dispatch_url if saved else addresses.url(settings.dispatch_bind),
    )
