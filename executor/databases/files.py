"""The files of a database's directory."""

DATABASE = "db.sqlite"
EXPORT = "export.sql"
IMPORT = "import.sql"

FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", EXPORT, IMPORT)
"""All that may be in it; whatever else is found there is deleted before it is opened."""
