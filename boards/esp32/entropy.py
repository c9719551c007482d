# Random bytes that keys and nonces may be made of.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The ESP32-S3's generator is only truly random while a radio is on (Technical Reference Manual,
# "Random Number Generator"); with both off it is a pseudo-random sequence. The radio is switched
# on once at start to draw a seed, and every draw mixes the seed, the generator and the time.

import hashlib
import os
import time

import network
from micropython import const

_SEED = const(64)  # bytes
_WARM_UP_MS = const(20)  # for the radio's noise to reach the generator
_BLOCK = const(32)


class Entropy:
    """A hash generator (after NIST SP 800-90A, Hash_DRBG) seeded from the radio's noise."""

    def __init__(self):
        radio = network.WLAN(network.WLAN.IF_STA)
        radio.active(True)
        try:
            time.sleep_ms(_WARM_UP_MS)
            seed = os.urandom(_SEED)
        finally:
            radio.active(False)
        self._state = hashlib.sha256(seed).digest()

    def random(self, n):
        """`n` bytes."""
        out = b""
        while len(out) < n:
            h = hashlib.sha256(self._state)
            h.update(os.urandom(_BLOCK))
            h.update(b"%d" % time.ticks_us())
            drawn = h.digest()
            # What was given out does not lead back to what comes next.
            self._state = hashlib.sha256(b"next" + self._state + drawn).digest()
            out += hashlib.sha256(b"out" + drawn).digest()
        return out[:n]
