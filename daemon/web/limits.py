"""Limits of the server; docs/decisions/web.md says what happens beyond each."""

MEGA = 1_000_000
#: Connections at once; one more closes the one that has been silent longest.
MAX_CONNECTIONS = 64
#: Until the head of a request is complete.
HEAD_S = 10.0
HEAD_BYTES = 16_384
#: A body that brings nothing, or an answer of which nothing is read, for so long.
PAUSE_S = 20.0
#: The client's machine has to take as much of an answer in that time.
PAUSE_BYTES = 4096
BODY_S = 600.0
MAX_PARTS = 200
#: Of one field of a form that is no picture, or of a body of text besides its picture.
MAX_FIELD_BYTES = 65_536
#: Of a body of JSON that is read into memory: three times what a zip of 10,000 pictures needs.
MAX_VALUES = 100_000
#: Pictures that clients wait for at once, and how long.
MAX_WAITING_CLIENTS = 16
ANSWER_S = 120.0
MAX_LISTENERS = 16
#: An upload waits so long for room before it is refused: less than the 5 s after which common
#: clients give up, more than 32 of them wait in turn on two cores (3.6 s).
ROOM_S = 4.0
#: So many wait at once: half of the connections.
MAX_SEEKING = 32
FILE_THREADS = 4
#: For URLs, each of which may take half a minute: as many as clients that may wait.
FETCH_THREADS = MAX_WAITING_CLIENTS
KEEP_ALIVE_S = 5
SHUTDOWN_S = 5
CHUNK_BYTES = 262_144
