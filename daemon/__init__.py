"""cvunetd: a folder in which pictures lose their background."""

__version__ = "0.1.0"
