"""cvunetd: a folder in which pictures lose their background."""

#: The only place of the version; `setup.cfg` and the man pages read it here.
__version__ = "0.2.0"
