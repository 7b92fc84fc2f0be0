-- Version 8: a process that was ended from outside (kill -9, a power cut, a reboot) is no proof against
-- its picture. Such ends are counted apart from attempts.

ALTER TABLE jobs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
