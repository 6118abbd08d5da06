"""Accounts: the platforms that own everything else."""

import re

from sqlalchemy import select

from cloister.errors import Invalid, NotFound
from cloister.registry.database import Database, now_ms
from cloister.registry.models import Account
from cloister.registry.names import check_title, new_id
from cloister.registry.views import AccountView

ACCOUNT_ID = re.compile(r"[0-9a-f]{32}")


class Accounts:
    """Makes and finds accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(self, account_id: str, name: str) -> AccountView:
        """The account of this id, made if missing; of processes that start together one makes it.

        Raises:
            Invalid: the id is not 32 lower-case hex digits, or the name is not printable.
        """
        if not ACCOUNT_ID.fullmatch(account_id):
            raise Invalid("An account id is 32 lower-case hex digits.")
        row = {"id": account_id, "name": check_title(name, "Account name"), "created_at": now_ms()}
        with self._database.write() as work:
            work.execute(work.insert(Account).values(row).on_conflict_do_nothing())
        return self.get(account_id)

    def create(self, name: str) -> AccountView:
        """Make an account of a fresh id."""
        return self.ensure(new_id(), name)

    def get(self, account_id: str) -> AccountView:
        """Find one.

        Raises:
            NotFound: there is none of this id.
        """
        with self._database.read() as session:
            row = session.get(Account, account_id)
        if row is None:
            raise NotFound("No account has this id.")
        return _view(row)

    def list(self) -> list[AccountView]:
        """All of them, oldest first."""
        with self._database.read() as session:
            rows = session.scalars(select(Account).order_by(Account.created_at, Account.id))
            return [_view(row) for row in rows]


def _view(row: Account) -> AccountView:
    return AccountView(id=row.id, name=row.name, created_at=row.created_at)
