"""The process that cleans up when the supervisor is killed.

It reads from its standard input which sessions live (``+PID`` and ``-PID`` lines). The supervisor
holds the other end, so end-of-file means that the supervisor is gone, however it ended; then every
process of the sessions that still live is ended. The guard inherits the data directory's lock, so
that nobody starts there before it is done.
"""

import signal
import sys

from cloister.descendants import end_sessions

GRACE_S = 5.0


def main() -> None:
    """Wait for the supervisor's end, then end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions: set[int] = set()
    for line in sys.stdin:
        change, pid = line[0], int(line[1:])
        if change == "+":
            sessions.add(pid)
        else:
            sessions.discard(pid)
    end_sessions(sessions, grace_s=GRACE_S)


if __name__ == "__main__":
    main()
