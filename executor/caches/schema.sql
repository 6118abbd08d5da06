-- Responses. One that is not ready is being written; nobody finds it.
CREATE TABLE IF NOT EXISTS entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL,
  key BLOB NOT NULL,
  head BLOB NOT NULL,
  size INTEGER NOT NULL,
  stored_at REAL NOT NULL,
  expires_at REAL NOT NULL,
  ready INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS entries_by_key ON entries (owner, key) WHERE ready = 1;
CREATE INDEX IF NOT EXISTS entries_by_owner ON entries (owner, id, size);

-- Their bodies, in pieces.
CREATE TABLE IF NOT EXISTS pieces (
  entry INTEGER NOT NULL,
  number INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (entry, number)
) STRICT;

-- Bytes of each owner and, under the empty name, of all.
CREATE TABLE IF NOT EXISTS totals (owner TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT;

CREATE TRIGGER IF NOT EXISTS entries_ready AFTER UPDATE OF ready ON entries BEGIN
  INSERT INTO totals (owner, size) VALUES (NEW.owner, NEW.size), ('', NEW.size)
  ON CONFLICT (owner) DO UPDATE SET size = size + excluded.size;
END;

CREATE TRIGGER IF NOT EXISTS entries_gone AFTER DELETE ON entries BEGIN
  DELETE FROM pieces WHERE entry = OLD.id;
  UPDATE totals SET size = size - OLD.size WHERE OLD.ready = 1 AND owner IN (OLD.owner, '');
  DELETE FROM totals WHERE owner = OLD.owner AND size <= 0;
END;
