-- Version 6: pictures that came by HTTP. A picture that is tried again has a row for each time.

ALTER TABLE jobs ADD COLUMN upload TEXT;       -- the id by which its sender knows it
ALTER TABLE jobs ADD COLUMN upload_note TEXT NOT NULL DEFAULT '{}';  -- what it asked for, as JSON
CREATE INDEX jobs_of_upload ON jobs (upload, added_at) WHERE upload IS NOT NULL;
