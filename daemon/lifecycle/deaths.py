"""How often a picture's process may be ended from outside, and how long the picture rests then."""

from daemon.backoff import doubled_s

#: So often the process that works on a picture may be ended from outside, without a trace. After
#: each time but the first the picture rests, and longer each time. So that many in a row are no
#: accident, however often somebody ends processes.
MAX_DEATHS = 8
REST_S, MOST_REST_S = 10.0, 600.0


def rest_s(deaths: int) -> float:
    """Return how long a picture waits for its next trial, after so many deaths."""
    return 0.0 if deaths < 2 else doubled_s(REST_S, deaths - 2, MOST_REST_S)
