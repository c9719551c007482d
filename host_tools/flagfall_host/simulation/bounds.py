"""Every queue within its bound: what may wait where, looked at while the city lives."""

from collections.abc import Iterable, Iterator
from typing import Any

from flagfall_host.simulation.air import IN_FLIGHT
from flagfall_host.simulation.gateways import GatewayProgram
from flagfall_host.simulation.taxi import Taxi
from flagfall_host.simulation.watch import Violation

_KEYS = 16
_TORN = 3  # docs/formats.md: payments that wait for their card
_NOTICES = 8  # drivers/modem.py
_MODEM_BYTES = 1_024
_CABLE_BYTES = 64 * 1_024  # what a host may send ahead, a whole window of parts
_READ_AHEAD = 64 * 1_024  # bytes of one read of a connection

Bound = tuple[str, int, int]  # what waits, how much of it, how much may


def of_unit(taxi: Taxi) -> Iterator[Bound]:
    """What waits in a unit and at its ports."""
    outside, board, unit = taxi.outside, taxi.board, taxi.unit
    yield "keys", outside.keys.qsize(), _KEYS
    yield "bytes from the cable", len(outside.cable._came), _CABLE_BYTES
    if outside.radio is not None:
        yield "bytes from the modem", len(outside.radio.port._came), _MODEM_BYTES
        connection = outside.radio.connection
        if connection is not None:
            yield "bytes on their way up", connection.up.bytes, IN_FLIGHT
            yield "bytes on their way down", connection.down.bytes, IN_FLIGHT
    if board is None or board.dead or unit is None:
        return  # what a unit leaves that lost its power in the middle of something is nobody's
    if board.booking is not None:
        journal = board.booking.journal
        yield "records without room", board.booking.lost, 0
        yield "bytes of the journal", journal.used, journal.capacity
    if unit._payment_task is not None:
        yield "torn payments", len(unit._payment_task._torn), _TORN
    if board.uplink is not None:
        yield "words of the modem", len(board.uplink.modem.notices), _NOTICES


def of_gateway(program: GatewayProgram, units: int) -> Iterator[Bound]:
    """What waits in a gateway: a unit has one visit at a time, and one delivery in each."""
    gateway, desk = program.gateway, program.desk
    if gateway is None or desk is None:
        return
    limits = gateway.limits
    # One for each unit, whose connection may be lost while its delivery waits for the commit.
    yield "deliveries", len(desk.waiting), units
    yield "connections", len(gateway._open), limits.connections
    yield "handshakes", len(gateway._shaking), limits.handshakes
    yield "visits", len(gateway._visits), units
    yield "words about units", len(gateway._said), limits.connections + 1
    for wire in gateway._open:
        yield "bytes of a client", wire._held, limits.held + _READ_AHEAD


def must_hold(taxis: Iterable[Taxi], programs: Iterable[GatewayProgram]) -> None:
    """Raises Violation for the first queue that is too long."""
    taxis = list(taxis)
    for who, bounds in _all(taxis, programs):
        for what, there, most in bounds:
            if there > most:
                raise Violation(f"{who}: {there} {what}; {most} may wait")


def _all(taxis: list[Taxi], programs: Iterable[GatewayProgram]) -> Iterator[tuple[str, Any]]:
    for taxi in taxis:
        yield taxi.name, of_unit(taxi)
    for program in programs:
        yield program.name, of_gateway(program, len(taxis))
