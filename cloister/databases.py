"""What is asked of a database and what it answers: between processes, and through the door of the
process that has the database open.

Fields are only ever appended, with a default, so that a message of the previous release decodes.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

DATABASE_TASK = "cloister.database"
DATABASE_QUEUE = "databases"

DATABASE_BYTES = 10_000_000_000
ROW_BYTES = 2_000_000
"""Of a row, a string, a blob."""
STATEMENT_BYTES = 100_000
PARAMETERS = 100
COLUMNS = 100
FUNCTION_ARGUMENTS = 32
LIKE_PATTERN_BYTES = 50
QUERY_S = 30.0
"""Of a query or a batch."""
BEGIN_S = 10.0
"""How long a question may wait until an executor begins with it."""
END_S = BEGIN_S + QUERY_S + 5.0
"""How long it may wait for its answer."""
TASK_S = 600.0
"""Of an export or import."""

RESULT_BYTES = 16 * 1024 * 1024
"""Of all rows of an answer, counted as the database's process counts them."""
BATCH_STATEMENTS = 10_000


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """SQL and the values of its parameters: None, bool, int, float, str, bytes. Several statements
    in one text take no parameters."""

    sql: str
    params: list[Any] = []


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run", omit_defaults=True):
    """Run these in order, in one transaction. Answered by :class:`Results`. Where they are
    ``prepared``, each text is exactly one statement."""

    statements: list[Statement]
    prepared: bool = False


class Execute(msgspec.Struct, frozen=True, tag="execute"):
    """Run each of these texts in a transaction of its own, until one fails. Answered by
    :class:`Executed`."""

    texts: list[str]


class Describe(msgspec.Struct, frozen=True, tag="describe"):
    """Answered by :class:`Described`."""


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """End its process and remove its files. Answered by :class:`Deleted`."""


class Export(msgspec.Struct, frozen=True, kw_only=True, tag="export", omit_defaults=True):
    """Write it as SQL to the blob ``key``; of all tables where none is named. Answered by
    :class:`Task`."""

    key: str
    tables: list[str] = []
    no_schema: bool = False
    no_data: bool = False


class Import(msgspec.Struct, frozen=True, kw_only=True, tag="import", omit_defaults=True):
    """Run the SQL of the blob ``key``, in one transaction, if its MD5 is ``etag``, where that is
    said. Answered by :class:`Task`."""

    key: str
    etag: str = ""


class Poll(msgspec.Struct, frozen=True, kw_only=True, tag="poll"):
    """What has become of a task. Answered by :class:`Task`, or Failed with kind ``lost``."""

    task: str


class Locate(msgspec.Struct, frozen=True, kw_only=True, tag="locate", omit_defaults=True):
    """Where it was at that time (epoch milliseconds), or is now. Answered by :class:`Located`."""

    at_ms: int | None = None


class Restore(msgspec.Struct, frozen=True, kw_only=True, tag="restore"):
    """Make it what it was there. Answered by :class:`Restored`."""

    bookmark: str


ToProcess = Run | Execute | Describe | Locate | Restore | Export | Import
"""What goes through the door. The key is then the name of a file beside the database."""

Ask = ToProcess | Delete | Poll


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """About one statement. ``rows_read`` are those it gave, ``rows_written`` those of tables that
    it changed: what SQLite counts without being built for it."""

    duration_ms: float
    changes: int
    last_row_id: int
    changed_db: bool
    size_bytes: int
    rows_read: int
    rows_written: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Of one statement."""

    columns: list[str]
    rows: list[list[Any]]
    meta: Meta


class Results(msgspec.Struct, frozen=True, tag="results"):
    """Of each statement in order, and where the database was after them."""

    results: list[Result]
    bookmark: str = ""


class Executed(msgspec.Struct, frozen=True, kw_only=True, tag="executed"):
    """So many statements were run."""

    count: int
    duration_ms: float


class Described(msgspec.Struct, frozen=True, kw_only=True, tag="described"):
    """A database's size and number of tables."""

    size_bytes: int
    tables: int


class Located(msgspec.Struct, frozen=True, kw_only=True, tag="located"):
    """A moment in a database's history: a later one is greater."""

    bookmark: str


class Restored(msgspec.Struct, frozen=True, kw_only=True, tag="restored"):
    """It is what it was there; ``previous`` undoes that."""

    bookmark: str
    previous: str


class Deleted(msgspec.Struct, frozen=True, tag="deleted"):
    """It is gone."""


class Exported(msgspec.Struct, frozen=True, tag="exported"):
    """The SQL is written."""


class Imported(msgspec.Struct, frozen=True, kw_only=True, tag="imported"):
    """So many statements were run; ``meta`` is about all of them."""

    queries: int
    meta: Meta
    bookmark: str = ""


Kind = Literal["sql", "malformed", "timeout", "too_large", "overloaded", "missing", "lost"]
"""
``sql``: SQLite refuses it, ``malformed``: it cannot be asked, ``timeout``: it took too long,
``too_large``: the result is, ``overloaded``: too much waits, ``missing``: there is no such
database, ``lost``: the platform failed, and the outcome is not known.
"""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """It could not be done; the database is as it was, unless ``kind`` is ``lost``."""

    kind: Kind
    message: str


FromProcess = Results | Executed | Described | Located | Restored | Exported | Imported | Failed


class Task(msgspec.Struct, frozen=True, kw_only=True, tag="task", omit_defaults=True):
    """An export or import: under way until it has an ``outcome``."""

    id: str
    outcome: FromProcess | None = None


Outcome = FromProcess | Deleted | Task


class DatabaseJob(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of the Celery task ``cloister.database``. ``deadline`` is the wall clock in
    epoch seconds after which nobody waits."""

    id: str
    account: str
    database: str
    ask: Ask
    reply_to: str
    deadline: float


class UnreadRun(Run, frozen=True, kw_only=True, tag="run", omit_defaults=True):
    """:class:`Run` to whoever passes it on: values are read in the database's process only."""

    statements: msgspec.Raw  # type: ignore[assignment]  # it is encoded alike


class UnreadExecute(Execute, frozen=True, tag="execute"):
    """:class:`Execute`, likewise."""

    texts: msgspec.Raw  # type: ignore[assignment]  # as above


UnreadToProcess = UnreadRun | UnreadExecute | Describe | Locate | Restore | Export | Import


class UnreadJob(DatabaseJob, frozen=True, kw_only=True):
    """:class:`DatabaseJob` to the executor that takes it."""

    ask: UnreadToProcess | Delete | Poll


class DatabaseAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="database"):
    """The answer to a job."""

    id: str
    outcome: bytes
    """An encoded :data:`Outcome`, as the database's process gave it: unread so far."""


encode_outcome = msgspec.msgpack.Encoder().encode

decode_outcome: Callable[[bytes], Outcome] = msgspec.msgpack.Decoder(Outcome).decode
"""Raises ``msgspec.MsgspecError`` on anything else."""


def export_key(database: str) -> str:
    """The blob of a database's last export."""
    return f"exports/{database}"


def import_key(database: str) -> str:
    """The blob of the file to be imported next."""
    return f"imports/{database}"
