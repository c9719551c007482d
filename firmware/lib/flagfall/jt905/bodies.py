# What a taximeter tells an ISU: status, signing in and out, trips, heartbeat (JT/T 905-2014).
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The standard's own text was not at hand: the layouts are those on which independent public
# implementations agree (docs/jt905.md says where they do not). Every time is local time, money
# is in 0.1 yuan, distances are in 0.1 km; what is finer is dropped, as the meter's face does.

from flagfall.clock import civil
from flagfall.emv.bcd import from_int

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


STATUS = const(0x0000)
CLOCK_CHECK = const(0x0001)
TARIFF_QUERY = const(0x0004)
TARIFF_SET = const(0x0005)
SIGN_IN = const(0x00E0)
SIGNED_IN = const(0x00E1)
SIGN_OUT = const(0x00E3)
SIGNED_OUT = const(0x00E4)
HIRED = const(0x00E7)
TRIP = const(0x00E8)
HEARTBEAT = const(0x00E9)
SIGNED_OUT_AGAIN = const(0x00F1)
TRIP_AGAIN = const(0x00F2)

ACCEPTED = const(0x90)
FAILED = const(0xFF)
UNSUPPORTED = const(0xFF)  # answer to TARIFF_SET

# Payment of a trip
CASH = const(0x00)
CPU_CARD = const(0x03)
OTHER = const(0x09)

TRIP_SIZE = const(66)


def number(value, size):
    """BCD of `size` bytes; a value that is too large shows as all nines."""
    return from_int(min(value, 100**size - 1), size)


def text(value, size):
    """ASCII, cut or padded with zeros on the right. What is not ASCII is left out."""
    raw = bytes(b for b in value.encode() if 0x20 <= b < 0x7F)
    return raw[:size] + bytes(size - len(raw[:size]))


def plate(value):
    """The last six ASCII characters: a Chinese plate without its province."""
    return text(bytes(text(value, 64)).rstrip(b"\0").decode()[-6:], 6)


def tenths(minor, digits):
    """Minor units in tenths of the currency."""
    return minor * 10 // 10**digits


def stamp(local_s, size):
    """YYYYMMDDhhmmss as BCD, cut to `size` bytes. `local_s`: seconds since 2000, local."""
    year, month, day, hour, minute, second, _ = civil(local_s)
    day_and_time = ((month * 100 + day) * 100 + hour) * 100 + minute
    return (from_int(year, 2) + from_int(day_and_time, 4) + from_int(second, 1))[:size]


def clock_time(seconds):
    """hhmm of a duration."""
    return number(seconds // 3600, 1) + number(seconds // 60 % 60, 1)


class Owner:
    """Who the meter belongs to; stands in most bodies.

    `vendor` is the byte that the ISU's maker knows the meter by, `serial` up to six digits.
    """

    def __init__(self, plate_text, licence, vendor=0, serial=0):
        self.plate = plate(plate_text)
        self.licence = text(licence, 16)
        self.vendor = vendor
        self.device = number(vendor, 1) + number(0x02, 1) + number(serial, 3)


def status(owner, driver, trips, full, release):
    """Body of the answer to STATUS. `release`: (hardware, major, minor)."""
    device = 0x04 if full else 0x00
    return b"".join(
        (
            owner.device,
            b"".join(number(part, 1) for part in release),
            bytes((device, 0x00 if driver else 0x01)),
            owner.plate,
            owner.licence,
            text(driver, 19),
            trips.to_bytes(4, "big"),
        )
    )


def signed_in(owner, driver, local_s, trips):
    """Body of SIGNED_IN."""
    return b"".join(
        (
            owner.licence,
            text(driver, 19),
            owner.plate,
            stamp(local_s, 6),
            trips.to_bytes(4, "big"),
            bytes((ACCEPTED,)),
        )
    )


def signed_out(owner, shift):
    """Body of SIGNED_OUT. `shift` is a dict.

    driver, k (pulses a km), began and ended (local seconds since 2000), km, hired_km, total_km,
    total_hired_km (0.1 km), trips, hired_s, money and card_money (0.1 yuan), cards, unit_price
    (0.01 yuan), total_trips.
    """
    return b"".join(
        (
            owner.licence,
            text(shift["driver"], 19),
            owner.plate,
            number(shift["k"], 2),
            stamp(shift["began"], 6),
            stamp(shift["ended"], 6),
            number(shift["km"], 3),
            number(shift["hired_km"], 3),
            number(shift["trips"], 2),
            number(shift["hired_s"] // 3600, 2) + number(shift["hired_s"] // 60 % 60, 1),
            number(shift["money"], 3),
            number(shift["card_money"], 3),
            number(shift["cards"], 2),
            number(0, 2),
            number(shift["total_km"], 4),
            number(shift["total_hired_km"], 4),
            number(shift["unit_price"], 2),
            shift["total_trips"].to_bytes(4, "big"),
        )
    )


def trip(owner, driver, fields, local_offset_s, digits, vacant_km):
    """Body of TRIP and TRIP_AGAIN: 66 bytes. `fields`: those of a TRIP record.

    `vacant_km`: driven for hire before the trip, in 0.1 km. Card data, which may follow, are the
    payment scheme's own and are not sent to an ISU.
    """
    began = stamp(fields["start_time"] + local_offset_s, 6)
    ended = stamp(fields["end_time"] + local_offset_s, 6)
    money = tenths(fields["fare"] + fields["supplements"], digits)
    return b"".join(
        (
            owner.plate,
            owner.licence,
            text(driver, 19),
            began[1:],
            ended[4:],
            number(fields["distance_mm"] // 100000, 3),
            number(vacant_km, 2),
            number(tenths(fields["supplements"], digits), 3),
            clock_time(fields["slow_ms"] // 1000),
            number(money, 3),
            fields["trip"].to_bytes(4, "big"),
            bytes(((OTHER, CASH, CPU_CARD)[fields["paid"]],)),
        )
    )


def heartbeat(owner, driver, hired):
    """Body of HEARTBEAT: b0 hired, b1 signed in."""
    state = (1 if hired else 0) | (2 if driver else 0)
    return bytes((state,)) + owner.licence + text(driver, 19)
