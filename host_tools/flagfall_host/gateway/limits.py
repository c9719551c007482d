"""What a gateway allows one client, and all of them together. Times in seconds, sizes in bytes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Every wait has a limit. A client that is slow or hostile costs no more than this says."""

    connections: int = 10_000  # at once, those in the handshake included
    handshakes: int = 1_000  # at once; one more costs the oldest of them its place
    handshake_s: float = 15.0  # from connect to the end of TLS
    greeting_s: float = 20.0  # from there to the proof of the key
    pull_s: float = 300.0  # one pull with its receipt
    idle_s: float = 600.0  # without a word, PINGs included
    write_s: float = 20.0  # for a client to take what it was sent
    drain_s: float = 20.0  # for what is under way when the gateway is told to end
    rate: int = 64 * 1024  # bytes a second that are read from one client
    burst: int = 256 * 1024  # bytes that may come faster than that
    held: int = 64 * 1024  # bytes of one client that are read and not yet looked at
    window: int = 24  # DATA frames in flight
    look_s: float = 10.0  # between two looks for revocations and placed files
    health_s: float = 2.0  # between two looks at the database


SOCKET_BACKLOG = 1_024
EARLY_DATA = 16 * 1024  # bytes before the end of the handshake; a certificate and all takes 2,000
