"""The YAML file: its schema, its faults by line, and the values that other parts take from it.

Does not belong here: opening or changing anything that the configuration names.
"""

#: What other packages may import; everything else is private to this one.
__all__ = [
    "addresses",
    "destinations",
    "folders",
    "hook_schema",
    "model_names",
    "models",
    "options",
    "output_schema",
    "overlaps",
    "overrides",
    "request_options",
    "schema",
    "shipped_files",
    "video",
    "web_schema",
]
