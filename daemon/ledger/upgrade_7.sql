-- Version 7: each start of a job has a number of its own, also if the attempt is refunded. Clips: their
-- kind decides how they are cut out, and their result's suffix.

ALTER TABLE jobs ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;  -- 0: its parts have no number
ALTER TABLE jobs ADD COLUMN clip TEXT NOT NULL DEFAULT '';  -- mp4, gif and so on; '' for a picture
