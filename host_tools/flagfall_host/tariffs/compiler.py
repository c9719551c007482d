"""From a tariff file to the compiled form that a unit loads.

    from flagfall_host.tariffs.compiler import compile_tariff
    blob = compile_tariff("hefei")             # a name from the catalogue
    blob = compile_tariff(Path("my.toml"))     # or a file

The result has at most 2,048 bytes and has been loaded once by the unit's own code
(`flagfall.meter.tariff.Tariff`), so a unit will accept it. Errors: TariffFileError with each line
and rule, UnknownTariffError.
"""

import datetime
import struct
from binascii import crc32
from pathlib import Path

from flagfall.meter import tariff as form

from flagfall_host.tariffs.catalogue import tariff_text
from flagfall_host.tariffs.errors import Problem, TariffFileError
from flagfall_host.tariffs.schema import read_tariff
from flagfall_host.tariffs.tariff_file import CURRENCIES, TariffFile


def compile_tariff(path_or_name: str | Path) -> bytes:
    """Compile a tariff by name or path. Raises TariffFileError or UnknownTariffError."""
    name, text = tariff_text(path_or_name)
    return compile_text(text, name)


def compile_text(text: str, name: str = "text") -> bytes:
    """Compile the text of a tariff file; `name` is for messages."""
    tariff = read_tariff(text, name)
    blob = encode(tariff)
    try:
        form.Tariff(blob)
    except form.TariffError as e:
        raise TariffFileError(name, [Problem(0, "T20", str(e))]) from e
    return blob


def load(path_or_name: str | Path) -> form.Tariff:
    """The tariff as a unit would hold it."""
    return form.Tariff(compile_tariff(path_or_name))


def encode(tariff: TariffFile) -> bytes:
    """The compiled form of a checked file."""
    names = _text(tariff.name) + _text(tariff.title)
    options = b"".join(_text(name) for name in tariff.options)
    before_options: list[tuple[str, list[tuple[int, ...]]]] = [
        (form.WINDOW, tariff.windows),
        ("<H", [(day,) for day in tariff.holidays]),
    ]
    after_options: list[tuple[str, list[tuple[int, ...]]]] = [
        (form.FLAGFALL, tariff.flagfalls),
        (form.RATE, tariff.distances),
        (form.RATE, tariff.times),
        (form.SURCHARGE, tariff.surcharges),
        (form.FEE, tariff.fees),
    ]
    try:
        body = names + _rows(before_options) + options + _rows(after_options)
        head = _header(tariff, struct.calcsize(form.HEADER) + len(body) + 4)
    except struct.error as e:
        problem = Problem(0, "T10", f"a figure is too large for the compiled form ({e})")
        raise TariffFileError(tariff.name, [problem]) from e
    blob = head + body
    blob += struct.pack("<I", crc32(blob))
    if len(blob) > form.MAX_SIZE:
        problem = Problem(0, "T19", f"compiled {len(blob)} bytes; at most {form.MAX_SIZE} fit")
        raise TariffFileError(tariff.name, [problem])
    return blob


def _rows(tables: list[tuple[str, list[tuple[int, ...]]]]) -> bytes:
    return b"".join(struct.pack(layout, *row) for layout, rows in tables for row in rows)


def _header(tariff: TariffFile, length: int) -> bytes:
    return struct.pack(
        form.HEADER,
        form.MAGIC,
        form.FORMAT,
        tariff.minor_digits,
        CURRENCIES[tariff.currency][0],
        length,
        tariff.version,
        _utc(tariff, tariff.valid_from),
        _utc(tariff, tariff.valid_until),
        tariff.utc_offset_min,
        *tariff.summer_rule(),
        tariff.mode,
        tariff.flags,
        tariff.threshold_m_h,
        tariff.free_ms,
        tariff.round_to,
        tariff.round_rule,
        tariff.discount_above,
        tariff.discount_percent,
        tariff.cap_percent,
        len(tariff.windows),
        len(tariff.holidays),
        len(tariff.options),
        len(tariff.flagfalls),
        len(tariff.distances),
        len(tariff.times),
        len(tariff.surcharges),
        len(tariff.fees),
    )


def _text(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def _utc(tariff: TariffFile, local: datetime.datetime | None) -> int:
    """Seconds since 2000 in UTC of a local time."""
    if local is None:
        return 0
    seconds = int((local - datetime.datetime(2000, 1, 1)).total_seconds())
    standard = max(0, seconds - tariff.utc_offset_min * 60)
    return max(0, seconds - tariff.local_time().offset_s(standard))
