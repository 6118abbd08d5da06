"""The files of a database's directory."""

DATABASE = "db.sqlite"
EXPORT = "export.sql"
IMPORT = "import.sql"
RESTORED = "restored.sqlite"

BASES = ("history-0.base", "history-1.base")
LOGS = ("history-0.log", "history-1.log")
"""What the database was at a moment, and what was written from then on; an older and a newer such.
"""

PASSING = (EXPORT, IMPORT, RESTORED, f"{RESTORED}-wal", f"{RESTORED}-journal")
"""What is there while something is done."""

FILES = (
    *(DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal"),
    *(name for base in BASES for name in (base, f"{base}-journal")),
    *LOGS,
    *PASSING,
)
"""All that may be in it; whatever else is found there is deleted before it is opened."""
