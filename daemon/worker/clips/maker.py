"""The clip child: reads a clip, and makes the segments of its result and the whole.

Runs in a process of its own, which `run` starts. What the daemon sends is trusted; what this sends
back is not.
"""

import os
import resource
import socket
from pathlib import Path

from daemon.worker.children import channel, confinement
from daemon.worker.children.channel import Message
from daemon.worker.clips.exchange import Exchange
from daemon.worker.clips.link import Link
from daemon.worker.clips.plan import Plan

#: A clip gives way to everything else on the processors.
NICENESS = 10
WARNINGS, LETTERS = 50, 1000


def main(descriptor: int, parent: int, root: str) -> None:
    """Make one clip, then end."""
    confinement.die_with(parent)
    confinement.limit(file_bytes=resource.RLIM_INFINITY)
    os.nice(NICENESS)
    link = Link(socket.socket(fileno=descriptor))
    session = Session(link)  # imports the codecs
    link.tell({"confined_by": confinement.confine(Path(root), is_writing=True)})
    try:
        session.run()
    except EOFError:
        os._exit(0)
    except MemoryError:  # not even enough to say so
        os._exit(channel.NO_MEMORY)
    os._exit(0)  # threads of codecs may not end by themselves


class Session:
    """One clip from its first bytes to its last segment."""

    def __init__(self, link: Link) -> None:
        """Imports here, not above: limits must hold before libraries are loaded."""
        from daemon.worker.clips import making

        making.load()
        self.making = making
        self.link = link

    def run(self) -> None:
        """Make the clip, and tell how it has ended."""
        try:
            message = self.make()
        except EOFError:
            raise
        except MemoryError:
            message = {"lacks_memory": True}
        except self.making.REFUSALS as error:
            is_final = isinstance(error, self.making.FINAL_REFUSALS)
            message = {"refused": str(error)[:LETTERS], "is_final": is_final}
        except self.making.OTHERS as error:
            message = {self.making.name_of(error): str(error)[:LETTERS]}
        except OSError as error:
            message = {"errno": error.errno, "text": str(error.strerror)[:LETTERS]}
        except Exception as error:  # noqa: BLE001 - the daemon decides what follows
            message = {"unforeseen": f"{type(error).__name__}: {error}"[:LETTERS]}
        self.link.tell(message)

    def make(self) -> Message:
        """Open, cut out, join; return what the result holds."""
        order, (source, exchange, *behind) = self.link.receive()
        plan = Plan.of_json(order["plan"])
        self.link.exchange = Exchange(exchange, pixels=plan.preparation.most_pixels)
        with os.fdopen(source, "rb") as stream:
            making = self.making.Making(plan, stream, self.link)
            if behind:
                making.open_behind(behind[0])
            self.link.tell({"facts": making.facts})
            begin, descriptors = self.link.receive()
            making.set_backdrop(descriptors)
            number = begin["segment"]
            while not begin["is_whole"] and making.make_segment(number):
                number += 1
            answer, _ = self.link.ask("count")
            with self.link.stream("result", "r+b") as out:
                making.join(answer["count"], out, damaged_s=answer["damaged_s"])
            return {
                "has_sound": making.has_sound,
                "warnings": [text[:LETTERS] for text in making.warnings[:WARNINGS]],
                "sha256": making.sha256(),
                "is_end": True,
            }
