"""What a start prepares: the registry's tables, the first account, its token and its namespace.

Run as ``python -m cloister.bootstrap``. Running it again changes nothing, except that a changed
``CLOISTER_ACCOUNT_ID``, ``CLOISTER_API_TOKEN`` or address is taken over.
"""

import contextlib
import secrets
import sys

import click

from cloister import credentials
from cloister.credentials import Credentials
from cloister.errors import CloisterError, Conflict, SettingInvalid
from cloister.registry import Registry, open_registry
from cloister.settings import Settings

ACCOUNT_NAME = "Cloister"
TOKEN_NAME = "cloister up"  # noqa: S105 - a name


def bootstrap(settings: Settings) -> Credentials:
    """Prepare the registry and write the credentials file.

    Raises:
        SettingInvalid: the account's id or the token cannot be used.
        NotReady: the database cannot be reached.
    """
    saved = credentials.load(settings.data_dir)
    registry = open_registry(settings)
    try:
        account_id = _account(registry, settings, saved)
        api_token = _token(registry, settings, saved, account_id)
        with contextlib.suppress(Conflict):
            registry.namespaces.create(account_id, settings.default_namespace)
    finally:
        registry.close()
    made = credentials.of(settings, account_id, api_token)
    if made != saved:
        credentials.save(settings.data_dir, made)
    return made


def _account(registry: Registry, settings: Settings, saved: Credentials | None) -> str:
    """The id asked for, else the one of before, else the only one there is, else a new one."""
    known = registry.accounts.list()
    account_id = settings.account_id or (saved.account_id if saved else "")
    if not account_id and len(known) == 1:
        account_id = known[0].id
    return registry.accounts.ensure(account_id or secrets.token_hex(16), ACCOUNT_NAME).id


def _token(
    registry: Registry, settings: Settings, saved: Credentials | None, account_id: str
) -> str:
    text = settings.api_token or (saved.api_token if saved else "") or None
    known = registry.tokens.verify(text) if text else None
    if text and known:
        if known.account_id != account_id:
            raise SettingInvalid("CLOISTER_API_TOKEN is already the token of another account.")
        return text
    return registry.tokens.create(account_id, TOKEN_NAME, text=text).text


def main() -> int:
    """Exit code 1 and one line on a failure that has a known reason."""
    try:
        bootstrap(Settings.from_env())
    except CloisterError as exc:
        click.echo(f"cloister: {exc}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
