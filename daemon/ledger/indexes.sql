-- Indexes that only make questions faster, made at each start if they are missing. They are no version
-- of their own: an older program uses the file as before.

-- Which drops are open is asked in each tick; a busy daemon keeps a hundred thousand closed ones.
CREATE INDEX IF NOT EXISTS open_drops ON drops (folder, id) WHERE closed_at IS NULL;
-- By these a kept original is known where inode numbers do not last.
CREATE INDEX IF NOT EXISTS kept_times ON jobs (source, size, mtime_ns) WHERE is_kept = 1;
CREATE INDEX IF NOT EXISTS open_jobs_of_drop ON jobs (drop_id) WHERE state IN ('queued', 'running');
