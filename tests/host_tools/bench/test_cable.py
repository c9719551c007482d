"""The simulated cable keeps the pace, the order and the faults it was told."""

import os
import random
import select
import termios
import threading
import time
import tty

import pytest
import serial
from flagfall_host.bench.cable import BITS, Cable


def opened(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    return fd


def send(fd: int, data: bytes) -> threading.Thread:
    def run() -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def fetch(fd: int, n: int) -> bytes:
    out = b""
    while len(out) < n:
        out += os.read(fd, n - len(out))
    return out


def test_bytes_pass_both_ways_unchanged():
    data = random.Random(1).randbytes(20_000)
    with Cable(baud=2_000_000) as cable:
        host, unit = opened(cable.host), opened(cable.unit)
        threads = [send(unit, data), send(host, data[::-1])]
        heard: dict[int, bytes] = {}
        for fd in (host, unit):
            thread = threading.Thread(
                target=lambda fd=fd: heard.update({fd: fetch(fd, len(data))}), daemon=True
            )
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()
        assert heard == {host: data, unit: data[::-1]}
        os.close(host)
        os.close(unit)
    # The counters are whole once the cable's thread has ended.
    assert cable.to_host.carried == cable.to_unit.carried == len(data)
    assert cable.to_host.overrun == cable.to_unit.overrun == 0


@pytest.mark.parametrize("baud", [115_200, 921_600])
def test_no_byte_comes_before_its_time(baud: int):
    n = baud // BITS // 5  # a fifth of a second
    with Cable(baud=baud) as cable:
        host, unit = opened(cable.host), opened(cable.unit)
        started = time.monotonic()
        thread = send(unit, bytes(n))
        half = fetch(host, n // 2)
        half_at = time.monotonic() - started
        fetch(host, n - len(half))
        all_at = time.monotonic() - started
        thread.join()
        os.close(host)
        os.close(unit)
    assert half_at >= n // 2 * BITS / baud
    assert all_at >= n * BITS / baud


def test_the_latency_timer_holds_back_a_short_packet_but_not_full_ones():
    with Cable(baud=2_000_000, latency_ms=200) as cable:
        host, unit = opened(cable.host), opened(cable.unit)
        os.write(unit, bytes(62 * 3))
        fetch(host, 62 * 3)  # starts the timer
        started = time.monotonic()
        os.write(unit, b"x" * (62 + 10))
        assert fetch(host, 62) == b"x" * 62
        fetch(host, 10)
        assert time.monotonic() - started >= 0.2
        os.close(host)
        os.close(unit)


def test_bit_errors_and_drops_come_at_the_rate_that_was_set():
    n = 60_000
    with Cable(baud=2_000_000, bit_errors=1e-3, seed=3) as cable:
        host, unit = opened(cable.host), opened(cable.unit)
        thread = send(unit, bytes(n))
        got = fetch(host, n)
        thread.join()
        wrong = sum(1 for byte in got if byte)
        assert 0.8 * n * BITS * 1e-3 < cable.to_host.flipped < 1.2 * n * BITS * 1e-3
        assert 0.7 * cable.to_host.flipped < wrong <= cable.to_host.flipped
        os.close(host)
        os.close(unit)
    with Cable(baud=2_000_000, drops=1e-3, seed=3) as cable:
        host, unit = opened(cable.host), opened(cable.unit)
        data = bytes(range(256)) * (n // 256)
        thread = send(unit, data)
        arrived = 0
        os.set_blocking(host, False)
        while thread.is_alive() or cable.to_host.carried + cable.to_host.dropped < len(data):
            if select.select([host], [], [], 0.01)[0]:
                arrived += len(os.read(host, 4096))
        while select.select([host], [], [], 0)[0]:
            arrived += len(os.read(host, 4096))
        assert arrived + cable.to_host.dropped == len(data)
        assert 20 < cable.to_host.dropped < 120
        os.close(host)
        os.close(unit)


def test_the_cable_is_pulled_at_the_byte_that_was_named_and_plugged_in_again():
    with Cable(baud=2_000_000, pull_after=1_000) as cable:
        unit = opened(cable.unit)
        first = cable.host
        port = serial.Serial(first, timeout=5)
        os.write(unit, bytes(2_000))
        got = b""
        with pytest.raises(serial.SerialException):
            while True:
                got += port.read(1)
        assert len(got) <= 1_000  # what was not yet fetched went with the port
        port.close()
        assert cable.to_host.carried == 1_000
        assert not cable.plugged_in
        cable.plug_in()
        with serial.Serial(cable.host, timeout=5) as port:
            os.write(unit, b"again")
            assert port.read(5) == b"again"
        os.close(unit)


def test_it_can_be_pulled_by_hand_and_the_unit_hears_silence():
    with Cable() as cable:
        unit = opened(cable.unit)
        cable.pull()
        assert cable.host == ""
        os.write(unit, b"to nobody")
        cable.plug_in()
        with serial.Serial(cable.host, 115_200, timeout=5) as port:
            port.write(b"hello")
            assert fetch(unit, 5) == b"hello"
        os.close(unit)


def test_ends_that_are_set_to_different_speeds_hear_garbage():
    with Cable() as cable:
        unit = opened(cable.unit)
        with serial.Serial(cable.host, 115_200, timeout=5) as port:
            port.write(b"same speed")
            assert fetch(unit, 10) == b"same speed"
            port.baudrate = 921_600
            port.write(b"another speed, and long enough to be told from what was sent")
            assert b"speed" not in os.read(unit, 100)
            assert cable.to_unit.garbled > 0
            attributes = termios.tcgetattr(unit)
            attributes[4] = attributes[5] = termios.B921600
            termios.tcsetattr(unit, termios.TCSADRAIN, attributes)
            seen = b""
            while b"same again" not in seen:
                port.write(b"same again")
                seen += os.read(unit, 100)
        os.close(unit)


def test_waiting_for_bytes_that_do_not_come_ends():
    with Cable() as cable:
        assert cable.wait_carried(0, 1)
        assert not cable.wait_carried(1, 0.01)
