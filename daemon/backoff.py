"""How long to wait after failures in a row: twice as long each time, up to a limit."""

#: More doublings make no difference below any limit, and the number stays small.
MOST_DOUBLINGS = 30


def doubled_s(first_s: float, times: int, most_s: float) -> float:
    """Return ``first_s`` doubled so many times (0: as it is), and ``most_s`` at most."""
    return min(first_s * 2.0 ** min(times, MOST_DOUBLINGS), most_s)
