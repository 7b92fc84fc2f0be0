-- Version 3: what hooks have still to be told. A row goes when its hook has answered.

CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: an answer may come late
    hook TEXT NOT NULL,                    -- its event and name
    event_id TEXT NOT NULL,
    added_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    payload TEXT NOT NULL                  -- JSON
) STRICT;

CREATE INDEX notices_of_hook ON notices (hook, attempts, id);
