-- Version 7: each start of a job has a number of its own, also if the attempt is refunded.

ALTER TABLE jobs ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;  -- 0: its parts have no number
