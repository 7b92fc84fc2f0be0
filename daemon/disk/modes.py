"""Who may see what we make: our user and group, whatever the umask of the shell that started us."""

FILE = 0o640
FOLDER = 0o750
