"""Decode children: processes that read strangers' files, so that a bomb ends its own child only.

`child` and `confinement` run in the child, `process` and `pool` in the daemon. The child must not
import torch. Does not belong here: what a picture costs, and whose fault a failure is.
"""
