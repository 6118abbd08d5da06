"""SQL databases: their names and owners. What is in them is in files, on one machine."""

import re
from collections.abc import Sequence

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.database import Database, now_ms
from cloister.registry.models import Account, SqlDatabase
from cloister.registry.names import new_uuid
from cloister.registry.views import DatabaseView, Numbered

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
PER_PAGE = 1_000
LARGEST_PAGE = 1_000_000
DATABASES = 50_000
"""Of one account."""


class TooMany(Conflict):
    """The account has as many databases as it may have."""


class Databases:
    """Makes, finds and deletes databases. None of it opens one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, account_id: str, name: str) -> DatabaseView:
        """Make one: its files come to be when it is first opened.

        Raises:
            Invalid: it may not be called so.
            Conflict: the account has one of this name.
            TooMany: it has too many.
            NotFound: there is no such account.
        """
        if not NAME.fullmatch(name):
            raise Invalid(
                "A database's name is 1 to 64 letters, digits, dashes and underscores, beginning "
                "with a letter or digit.",
                pointer="/name",
            )
        row = SqlDatabase(id=new_uuid(), account_id=account_id, name=name, created_at=now_ms())
        mine = SqlDatabase.account_id == account_id
        try:
            with self._database.write() as work:
                if work.get(Account, account_id) is None:
                    raise NotFound("No account has this id.")
                count = work.scalar(select(func.count()).select_from(SqlDatabase).where(mine))
                if (count or 0) >= DATABASES:
                    raise TooMany(f"An account has at most {DATABASES} databases.")
                work.add(row)
        except IntegrityError as exc:
            raise Conflict(f"A database with the name {name!r} exists.") from exc
        return _view(row)

    def list(
        self, account_id: str, *, name: str | None = None, page: int = 1, per_page: int = 100
    ) -> Numbered[DatabaseView]:
        """One page of the account's databases, newest first, and how many there are; only those
        with ``name`` in their name, if given.

        Raises:
            Invalid: the page is below 1, or ``per_page`` not 1 to 1000.
        """
        if not (1 <= page <= LARGEST_PAGE and 1 <= per_page <= PER_PAGE):
            raise Invalid(f"page must be at least 1, per_page 1 to {PER_PAGE}.")
        wanted = [SqlDatabase.account_id == account_id]
        if name:
            wanted.append(SqlDatabase.name.contains(name, autoescape=True))
        query = (
            select(SqlDatabase)
            .where(*wanted)
            .order_by(SqlDatabase.created_at.desc(), SqlDatabase.id)
            .offset((page - 1) * per_page)
            .limit(per_page)
        )
        count = select(func.count()).select_from(SqlDatabase).where(*wanted)
        with self._database.read() as session:
            total = session.scalar(count)
            return Numbered(items=[_view(row) for row in session.scalars(query)], total=total or 0)

    def get(self, account_id: str, wanted: str) -> DatabaseView:
        """Find one by its id, or else by its name.

        Raises:
            NotFound: the account has none of this id or name.
        """
        query = select(SqlDatabase).where(
            SqlDatabase.account_id == account_id,
            or_(SqlDatabase.id == wanted, SqlDatabase.name == wanted),
        )
        rows: Sequence[SqlDatabase] = []
        if NAME.fullmatch(wanted):  # as ids are, too
            with self._database.read() as session:
                rows = session.scalars(query).all()
        for row in sorted(rows, key=lambda row: row.id != wanted):
            return _view(row)
        raise NotFound(f"The database {wanted[:64]} could not be found")

    def settle(self, account_id: str, database_id: str, home: str) -> str:
        """Whose directory has the files: the first who asked with a ``home``.

        Raises:
            NotFound: the account has none of this id.
        """
        with self._database.write() as work:
            work.execute(
                update(SqlDatabase)
                .where(SqlDatabase.id == database_id, SqlDatabase.account_id == account_id)
                .where(SqlDatabase.home.is_(None))
                .values(home=home)
            )
            found = work.scalar(
                select(SqlDatabase.home).where(
                    SqlDatabase.id == database_id, SqlDatabase.account_id == account_id
                )
            )
        if found is None:
            raise NotFound(f"The database {database_id[:64]} could not be found")
        return found

    def exists(self, database_id: str) -> bool:
        """Whether any account has it."""
        with self._database.read() as session:
            return session.get(SqlDatabase, database_id) is not None

    def delete(self, account_id: str, database_id: str) -> None:
        """Forget one, which need not be there. For whoever has the files."""
        with self._database.write() as work:
            work.execute(
                delete(SqlDatabase).where(
                    SqlDatabase.id == database_id, SqlDatabase.account_id == account_id
                )
            )


def _view(row: SqlDatabase) -> DatabaseView:
    return DatabaseView(
        id=row.id, account_id=row.account_id, name=row.name, created_at=row.created_at
    )
