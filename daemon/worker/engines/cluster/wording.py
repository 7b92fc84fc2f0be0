"""What is said of a cluster in few words, for people who do not know Ray."""

import re

#: Lines of Ray's messages that only name things by numbers.
NUMBERS = re.compile(r"^\s*(class_name|actor_id|pid|namespace|ip|name|node_id)\b.*$", re.MULTILINE)
MAX_REASON = 300
#: How Ray tells of versions that differ: the cluster's, then ours.
VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")
#: Ray does not tell by what.
PROCESS_ENDED = "its process has ended"
#: What Ray says when it has ended a worker because its whole machine is short of memory.
SHORT_OF_MEMORY = "low on memory"


def why_not_joined(text: str) -> str:
    """Return why Ray does not let us into a cluster; versions that differ with what to do."""
    versions = VERSIONS.findall(text)
    if len(versions) != 2:
        return f"cannot be joined: {shorten(text)}"
    theirs, ours = (f"Ray {ray} on Python {python}" for ray, python in versions)
    return f"runs {theirs}, and this machine {ours}: install the same on all machines"


def in_words(text: str) -> str:
    """Return why an actor has not answered, without Ray's advice."""
    if SHORT_OF_MEMORY in text:
        return (
            "Ray has ended it, because its machine has hardly any memory left, whatever uses it:"
            " end other programs there, or lower worker.memory_mb"
        )
    if "temporarily unavailable" in text:
        return "its connection has broken off: its process or its node has ended, or is cut off"
    if "node has died" in text:
        return "its node has died, or is cut off"
    if "worker process has died" in text:
        return PROCESS_ENDED
    return shorten(text)


def shorten(text: str) -> str:
    """Return a message of Ray's without the lines that name things by numbers."""
    text = " ".join(NUMBERS.sub("", text).split())
    return text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]} …"
