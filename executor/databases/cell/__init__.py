"""Inside a database's process: SQLite, what it may do, and the door."""
