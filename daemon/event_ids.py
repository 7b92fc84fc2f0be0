"""Message ids of the events that operators search for: `journalctl MESSAGE_ID=…`.

Never change one: alerts depend on them. They are documented in `docs/systemd.md`.
"""

READY = "484c4e0c9c5c4f62ac4bf271e9608435"  # the model is warm and all folders are watched
STOPPED = "21d9bc34e3964a87beefbd600415f1b3"  # ended as it was asked to
RELOADED = "d2214d7b864242c0bce26cc8574fab1c"  # a new configuration is in use
REFUSED = "52fac5dce0ca4f249e96233e00bf96e0"  # a new configuration is wrong, the old one stays
DONE = "133dcad04fd748559901179d6a82ba33"  # a cut-out is published
REJECTED = "6a77b46af4824503be95cf2d539d923a"  # a picture went to quarantine
RETRIED = "d59c0dbc6ea34050823aed9314b4d38f"  # a picture failed and is tried again
STANDBY = "3a0374a7ebf64538b5d18ee718435883"  # a folder stands by
RESUMED = "a9880f42db9241a191bb3c183de55354"  # a folder resumes
STALLED = (
    "4db237412ecd46ad8a35315a1f43a45a"  # some part makes no progress, and only a restart helps
)
HOOK_FAILED = "674eabf908494a858ae4d1c9949c8714"  # a notice to a hook was given up
