-- Version 2: a second file beside the result, one for review, results that replace earlier ones.

ALTER TABLE jobs ADD COLUMN alpha BLOB;      -- where the mask goes that comes beside the result
ALTER TABLE jobs ADD COLUMN review BLOB;     -- where the result also lies for a person
ALTER TABLE jobs ADD COLUMN stamps TEXT NOT NULL DEFAULT '[]';  -- of the finished files, as JSON
ALTER TABLE jobs ADD COLUMN replaced_by TEXT;  -- the job whose result has taken this one's name

DROP INDEX one_target;
CREATE UNIQUE INDEX one_target ON jobs (target)
    WHERE state <> 'failed' AND replaced_by IS NULL;
CREATE UNIQUE INDEX one_alpha ON jobs (alpha)
    WHERE alpha IS NOT NULL AND state <> 'failed' AND replaced_by IS NULL;
CREATE INDEX jobs_by_review ON jobs (review) WHERE review IS NOT NULL;
CREATE INDEX replaced_jobs ON jobs (replaced_by) WHERE replaced_by IS NOT NULL;
CREATE INDEX jobs_of_source ON jobs (drop_id, relative);
