# The state of a trip as bytes: what a checkpoint keeps through a loss of power.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Fixed size, little-endian; no CRC, the journal has one. The CRC of the tariff and k are in
# front, so that a trip is never taken up under other prices. The totals follow, so that they
# lose nothing.

import struct

from flagfall.meter.totals import SIZE as _TOTALS_SIZE

_LAYOUT = "<III37i"  # tariff CRC, start, k, then the words below
_BODY = struct.calcsize(_LAYOUT)
SNAPSHOT_SIZE = _BODY + _TOTALS_SIZE


def pack_trip(meter):
    """SNAPSHOT_SIZE bytes of a Taximeter."""
    fare = meter._fare
    fare.note_distance()
    main = fare.main
    own = fare.own
    gate = meter._gate
    clock = meter._clock
    return (
        struct.pack(
            _LAYOUT,
            meter._tariff.crc,
            meter._start_utc_s,
            meter.k,
            meter._position,
            fare.options,
            fare.windows,
            meter._supplements,
            meter._pulses_stopped,
            meter._pulses_hired,
            meter._slow_ms,
            meter._hired_ms,
            clock.day,
            clock.minute,
            meter._edge,
            clock.to_jump,
            clock.jump,
            meter._x_rest,
            fare.metered,
            fare.flagfall,
            fare.fees,
            fare.fee_supplements,
            fare.fees_done,
            fare.shown,
            fare.free_ms,
            fare.free_x,
            fare.beyond_x,
            fare.hired_x_km,
            fare.hired_x,
            main.fill,
            main.x_rest,
            main.t_rest,
            main.steps,
            own.fill,
            own.t_rest,
            own.steps,
            gate.slow,
            gate.pending_ms,
            gate.pending_x,
            gate.lead,
            gate.undecided_ms,
        )
        + meter.totals.pack()
    )


def unpack_trip(meter, snapshot):
    """Put a snapshot into a Taximeter in For Hire. Return what is wrong with it, or None."""
    if len(snapshot) != SNAPSHOT_SIZE:
        return "a snapshot has %d bytes, not %d" % (SNAPSHOT_SIZE, len(snapshot))
    f = struct.unpack(_LAYOUT, snapshot[:_BODY])
    if f[0] != meter._tariff.crc or f[2] != meter.k:
        return "the snapshot was made with another tariff or another k"
    if not 0 <= f[3] <= 2:
        return "the snapshot's position %d is not known" % f[3]
    meter.totals.raise_to(snapshot[_BODY:])
    meter._start_utc_s = f[1]
    meter._position = f[3]
    fare = meter._fare
    fare.begin(f[5], f[4])
    meter._supplements, meter._pulses_stopped, meter._pulses_hired = f[6:9]
    meter._slow_ms, meter._hired_ms = f[9:11]
    clock = meter._clock
    clock.day, clock.minute, meter._edge, clock.to_jump, clock.jump = f[11:16]
    meter._x_rest = f[16]
    fare.resume(f[17:35])
    meter._set_threshold()
    gate = meter._gate
    gate.slow = bool(f[35])
    gate.pending_ms, gate.pending_x, gate.lead, gate.undecided_ms = f[36:40]
    return None
