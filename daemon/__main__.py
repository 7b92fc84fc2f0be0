"""`python -m daemon` is `cvunetd`."""

from daemon.cli import main

main()
