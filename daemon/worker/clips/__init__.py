"""Clips: a process for each, which decodes, steadies, finishes and encodes; and what serves it.

`maker` and `link` run in the clip child, the other modules in the daemon. The child must not import
torch. Does not belong here: codecs and frames (`cvunet.video`), and whose fault a failure is.
"""
