"""cvunetd: a folder in which pictures lose their background."""

#: The version's one place; `setup.cfg` and the man pages read it here.
__version__ = "0.2.0"
