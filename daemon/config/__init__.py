"""The YAML file: its schema, its faults by line, and the values that other parts take from it.

Does not belong here: opening or changing anything that the configuration names.
"""

#: What other packages may import; everything else is private to this one.
__all__ = [
    "addresses",
    "destinations",
    "folders",
    "hook_schema",
    "models",
    "options",
    "output_schema",
    "overrides",
    "schema",
    "shipped_files",
]
