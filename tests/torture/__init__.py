"""Everything that happens to hot folders, done to the daemon; run by `make torture`."""
