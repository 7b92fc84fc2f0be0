"""Python's collector of cyclic garbage: rarely at work while the program starts, as usual after it.

At the start nearly nothing is garbage. What is loaded then stays, and the collector would look at
all of it again and again.
"""

import gc

USUAL = gc.get_threshold()
#: New objects between two looks at the youngest ones, while the program starts. More of them save
#: no more time.
PATIENT = 20_000


def be_patient() -> None:
    """Collect rarely, until `settle`."""
    gc.set_threshold(PATIENT, *USUAL[1:])


def settle() -> None:
    """Collect as usual, and look no more at what there is now: it stays.

    Nothing happens in a process that was not patient.
    """
    if gc.get_threshold()[0] == PATIENT:
        gc.freeze()
        gc.set_threshold(*USUAL)
