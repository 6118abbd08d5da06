"""KV namespaces: containers of pairs, owned by an account."""

from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.kv_cache import KvCache
from cloister.registry.models import Account, KvNamespace
from cloister.registry.names import check_title, new_id
from cloister.registry.views import KvNamespaceView, Numbered

TITLE_CHARACTERS = 512
PER_PAGE = 1_000
LARGEST_PAGE = 1_000_000


class KvNamespaces:
    """Makes, renames and deletes KV namespaces."""

    def __init__(self, database: Database, cache: KvCache | None = None) -> None:
        self._database = database
        self._cache = cache

    def create(self, account_id: str, title: str) -> KvNamespaceView:
        """Make one.

        Raises:
            Invalid: the title is empty, too long or not printable.
            Conflict: the account has one of this title.
            NotFound: there is no such account.
        """
        row = KvNamespace(
            id=new_id(),
            account_id=account_id,
            title=check_title(title, "Title", TITLE_CHARACTERS),
            created_at=now_ms(),
        )
        try:
            with self._database.write() as work:
                if work.get(Account, account_id) is None:
                    raise NotFound("No account has this id.")
                work.add(row)
        except IntegrityError as exc:
            raise _taken(title) from exc
        return _view(row)

    def list(
        self,
        account_id: str,
        *,
        page: int = 1,
        per_page: int = 20,
        order: Literal["id", "title"] = "id",
        direction: Literal["asc", "desc"] = "asc",
    ) -> Numbered[KvNamespaceView]:
        """One page of the account's KV namespaces, and how many there are.

        Raises:
            Invalid: the page is below 1, or ``per_page`` not 1 to 1000.
        """
        if not (1 <= page <= LARGEST_PAGE and 1 <= per_page <= PER_PAGE):
            raise Invalid(f"page must be at least 1, per_page 1 to {PER_PAGE}.")
        mine = KvNamespace.account_id == account_id
        column = KvNamespace.title if order == "title" else KvNamespace.id
        query = (
            select(KvNamespace)
            .where(mine)
            .order_by(column.desc() if direction == "desc" else column)
            .offset((page - 1) * per_page)
            .limit(per_page)
        )
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(KvNamespace).where(mine))
            return Numbered(items=[_view(row) for row in session.scalars(query)], total=total or 0)

    def get(self, account_id: str, namespace_id: str) -> KvNamespaceView:
        """Find one.

        Raises:
            NotFound: the account has none of this id.
        """
        with self._database.read() as session:
            row = session.get(KvNamespace, namespace_id)
        if row is None or row.account_id != account_id:
            raise _unknown()
        return _view(row)

    def rename(self, account_id: str, namespace_id: str, title: str) -> KvNamespaceView:
        """Give it another title; its id and pairs stay. Raises as :meth:`create`."""
        check_title(title, "Title", TITLE_CHARACTERS)
        try:
            with self._database.write() as work:
                row = _mine(work, account_id, namespace_id)
                row.title = title
        except IntegrityError as exc:
            raise _taken(title) from exc
        return _view(row)

    def delete(self, account_id: str, namespace_id: str) -> None:
        """Delete it with all its pairs. Bindings to it read nothing from then on.

        Raises:
            NotFound: the account has none of this id.
        """
        with self._database.write() as work:
            row = _mine(work, account_id, namespace_id)
            work.execute(delete(KvNamespace).where(KvNamespace.id == row.id))
        if self._cache is not None:
            self._cache.forget_namespace(namespace_id)


def _mine(work: Work, account_id: str, namespace_id: str) -> KvNamespace:
    row = work.get(KvNamespace, namespace_id, with_for_update=True)
    if row is None or row.account_id != account_id:
        raise _unknown()
    return row


def _view(row: KvNamespace) -> KvNamespaceView:
    return KvNamespaceView(
        id=row.id, account_id=row.account_id, title=row.title, created_at=row.created_at
    )


def _unknown() -> NotFound:
    return NotFound("The account has no KV namespace of this id.")


def _taken(title: str) -> Conflict:
    return Conflict(f"A KV namespace with the title {title[:64]!r} exists.")
