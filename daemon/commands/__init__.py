"""One module for each command of `cvunetd`, named like the command; `cli` calls nothing else.

Does not belong here: what the running service does (service), and the command line itself (cli).
"""

#: What other packages may import; everything else is private to this one.
__all__ = [
    "batch",
    "check_config",
    "clean",
    "cut",
    "doctor",
    "healthz",
    "init",
    "models",
    "once",
    "retry",
    "run",
    "signals",
    "status",
    "status_text",
    "systemd_paths",
    "version",
    "web",
    "why",
]
