"""A simulated chip on a pseudo-terminal."""

import os
import select

import pytest
from flagfall_host.bench.pty_port import PtyPort


class Upper:
    def __init__(self):
        self.idled = 0

    def feed(self, data):
        return data.upper()

    def idle(self):
        self.idled += 1
        return b"tick" if self.idled == 1 else b""


def read(fd, n):
    data = b""
    while len(data) < n:
        assert select.select([fd], [], [], 10)[0], data
        data += os.read(fd, n - len(data))
    return data


def test_bytes_cross_unchanged_and_the_chip_may_speak_first():
    with PtyPort(Upper()) as port:
        fd = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
        assert read(fd, 4) == b"tick"
        every = bytes(range(256))
        os.write(fd, every)
        assert read(fd, 256) == every.upper()
        os.close(fd)
        fd = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"again")
        assert read(fd, 5) == b"AGAIN"
        os.close(fd)
    port.close()


def test_a_client_that_does_not_listen_stalls_nothing():
    class Flood(Upper):
        def feed(self, data):
            return bytes(1_000_000)

    with PtyPort(Flood()) as port:
        fd = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"x")
        read(fd, 4)
        os.close(fd)
    assert port.dropped > 0


def test_a_chip_that_fails_says_so_at_the_end():
    class Broken(Upper):
        def feed(self, data):
            raise KeyError("broken")

    port = PtyPort(Broken())
    fd = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    os.write(fd, b"x")
    os.close(fd)
    port._thread.join(10)
    with pytest.raises(KeyError):
        port.close()
