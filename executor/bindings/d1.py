"""A D1 database: ``env.NAME.prepare``, ``batch``, ``exec``.

What is asked and answered is a tenant's, and passes unread: it is SQL and values to the database's
process, and rows to the isolate.
"""

from typing import Any

import msgspec
from msgspec import Raw

from cloister.databases import UnreadExecute, UnreadRun
from executor.bindings.asked import read
from executor.bindings.base import Binding, Refused
from executor.isolate.frames import MAX_FRAME_BYTES

QUERIES = 1_000
"""Of one invocation, in all its databases together. A batch counts as one."""


class _Texts(msgspec.Struct, array_like=True):
    texts: Raw


_texts = msgspec.msgpack.Decoder(_Texts)


class D1(Binding):
    """Asks the database, which is here or with another executor."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:  # noqa: ARG002 - none
        """``batch`` runs prepared statements in one transaction, ``exec`` texts one by one."""
        if method not in ("batch", "exec"):
            raise Refused("TypeError", f"A database has no method {method[:40]!r}.")
        texts = read(_texts, arguments, MAX_FRAME_BYTES, "A query is a list of statements").texts
        self.tally("d1", QUERIES)
        self.scope.count()
        ask = (
            UnreadExecute(texts) if method == "exec" else UnreadRun(statements=texts, prepared=True)
        )
        database = str(self.spec.get("database_id", ""))
        return Raw(await self.scope.databases.ask(self.scope.account_id, database, ask))
