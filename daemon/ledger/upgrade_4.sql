-- Version 4: the claim folder that we made in each hot folder. Another one in its place is not ours.

CREATE TABLE claim_folders (
    path BLOB PRIMARY KEY,         -- of the hot folder
    inode INTEGER NOT NULL,        -- of its claim folder. No device: that number changes with mounts
    root_inode INTEGER NOT NULL    -- of the hot folder: one that was made anew has other claims
) STRICT;
