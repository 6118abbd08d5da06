"""Databases as an executor answers for them, but in this process and in memory."""

from pathlib import Path

from cloister.databases import (
    DatabaseAnswer,
    DatabaseJob,
    Delete,
    Deleted,
    Export,
    Exported,
    Failed,
    Import,
    Outcome,
    Poll,
    Task,
    encode_outcome,
)
from cloister.registry import Registry
from executor.databases.cell.connection import Database, Refused
from executor.databases.cell.history import History
from executor.databases.cell.main import answer


class NoHistory(History):
    """Remembers one moment, and does not go there."""

    bookmark = "now"

    def __init__(self) -> None:
        """Of nothing."""

    def bookmark_at(self, at_ms: int | None) -> str:
        return "now" if at_ms is None else f"at {at_ms}"

    def restore(self, bookmark: str) -> str:
        if bookmark == "bad":
            raise Refused("sql", "Invalid bookmark: 'bad'.")
        return "now"


class FakeDatabases:
    """Used by one thread."""

    def __init__(self, registry: Registry, directory: Path) -> None:
        self._registry = registry
        self._directory = directory
        self._open: dict[str, Database] = {}
        self.scripted: Outcome | None = None

    def answer(self, job: DatabaseJob) -> DatabaseAnswer:
        """As the executor's owner of databases does."""
        return DatabaseAnswer(id=job.id, outcome=encode_outcome(self.scripted or self._do(job)))

    def close(self) -> None:
        for database in self._open.values():
            database.close()

    def _do(self, job: DatabaseJob) -> Outcome:
        match job.ask:
            case Delete():
                self._registry.databases.delete(job.account, job.database)
                return Deleted()
            case Export():
                return Task(id=job.id, outcome=Exported())
            case Poll() | Import():
                return Failed(kind="missing", message="There is no such task.")
            case question:
                if job.database not in self._open:
                    self._open[job.database] = Database(":memory:")
                return answer(self._open[job.database], question, NoHistory())
