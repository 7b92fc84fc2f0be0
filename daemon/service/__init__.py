"""The service loop, the order of its steps, and the assembly of all parts.

Does not belong here: how a step does its work. `assembly` and `lifecycle_parts` name the concrete
classes.
"""

#: What other packages may import; everything else is private to this one.
__all__ = [
    "assembly",
    "cluster_engine",
    "configured_engine",
    "local_engine",
    "monitors",
    "owned_folders",
    "service",
    "supervision",
    "web_pages",
]
