-- Version 5: names that differ only in case or Unicode form are one for SMB and macOS. Each name has
-- a key beside it that is the same for all its spellings; names are reserved by that key.

ALTER TABLE jobs ADD COLUMN target_key BLOB;
ALTER TABLE jobs ADD COLUMN alpha_key BLOB;
ALTER TABLE jobs ADD COLUMN review_key BLOB;
ALTER TABLE jobs ADD COLUMN archive_key BLOB;

UPDATE jobs SET
    target_key = name_key(target),
    alpha_key = name_key(alpha),
    review_key = name_key(review),
    archive_key = name_key(archive);

-- Earlier versions gave such names: the oldest one holds the key for all of them.
UPDATE jobs SET target_key = NULL
    WHERE state <> 'failed' AND replaced_by IS NULL AND rowid NOT IN (
        SELECT min(rowid) FROM jobs WHERE state <> 'failed' AND replaced_by IS NULL
        GROUP BY target_key);
UPDATE jobs SET alpha_key = NULL
    WHERE state <> 'failed' AND replaced_by IS NULL AND rowid NOT IN (
        SELECT min(rowid) FROM jobs WHERE state <> 'failed' AND replaced_by IS NULL
        GROUP BY alpha_key);
UPDATE jobs SET archive_key = NULL
    WHERE state <> 'failed' AND rowid NOT IN (
        SELECT min(rowid) FROM jobs WHERE state <> 'failed' GROUP BY archive_key);

DROP INDEX one_target;
DROP INDEX one_alpha;
DROP INDEX one_archive;
DROP INDEX jobs_by_review;
CREATE UNIQUE INDEX one_target ON jobs (target_key)
    WHERE state <> 'failed' AND replaced_by IS NULL;
CREATE UNIQUE INDEX one_alpha ON jobs (alpha_key)
    WHERE alpha_key IS NOT NULL AND state <> 'failed' AND replaced_by IS NULL;
CREATE UNIQUE INDEX one_archive ON jobs (archive_key)
    WHERE archive_key IS NOT NULL AND state <> 'failed';
CREATE INDEX jobs_by_review ON jobs (review_key) WHERE review_key IS NOT NULL;
