-- Version 1. Paths are bytes: a file's name need not be text. Times are UTC seconds.

CREATE TABLE drops (
    id INTEGER PRIMARY KEY,
    folder TEXT NOT NULL,
    path BLOB NOT NULL UNIQUE,
    opened_at REAL NOT NULL,
    last_at REAL NOT NULL,   -- when its newest picture was added
    closed_at REAL           -- null while open
) STRICT;

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    folder TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN (
        'queued',   -- add, retry, release ->
        'running',  -- start ->
        'done',     -- finish ->
        'failed'    -- fail ->
    )),
    relative BLOB NOT NULL,
    source BLOB NOT NULL,
    target BLOB NOT NULL,
    archive BLOB,
    drop_id INTEGER NOT NULL REFERENCES drops (id),
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    is_kept INTEGER NOT NULL,       -- the original stays in its hot folder
    found_by TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,  -- counted when they start
    not_before REAL NOT NULL DEFAULT 0,
    added_at REAL NOT NULL,
    changed_at REAL NOT NULL,       -- when the original was last seen to change
    ended_at REAL,
    reason TEXT NOT NULL DEFAULT '',
    quarantine BLOB,                -- where a rejected original is going, noted before it goes
    details TEXT NOT NULL DEFAULT '{}'    -- size, seconds, warnings of a finished job, as JSON
) STRICT;

-- A reserved name belongs to one job until that job has failed.
CREATE UNIQUE INDEX one_target ON jobs (target) WHERE state <> 'failed';
CREATE UNIQUE INDEX one_archive ON jobs (archive) WHERE archive IS NOT NULL AND state <> 'failed';
-- Kept originals are told apart by version. Not by device: that number changes with each mount.
CREATE UNIQUE INDEX one_version ON jobs (inode, size, mtime_ns, source) WHERE is_kept = 1;
CREATE INDEX open_jobs ON jobs (state, not_before) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_of_drop ON jobs (drop_id);
CREATE INDEX jobs_by_end ON jobs (state, ended_at);
