-- Version 7: clips. Their kind decides how they are cut out, and their result's suffix.

ALTER TABLE jobs ADD COLUMN clip TEXT NOT NULL DEFAULT '';  -- mp4, gif and so on; '' for a picture
