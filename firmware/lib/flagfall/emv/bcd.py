# Binary coded decimals and the dates of cards (EMV 4.3 Book 3, section 4.3).
# MIT licence, (c) 2026 The Flagfall contributors.


def to_int(data):
    """Value of packed BCD (n format). Raises ValueError on a nibble above 9."""
    value = 0
    for byte in data:
        if byte > 0x99 or byte & 0x0F > 9:
            raise ValueError("not a decimal number")
        value = value * 100 + (byte >> 4) * 10 + (byte & 0x0F)
    return value


def from_int(value, size):
    """Pack a non-negative `value` into `size` bytes of BCD. Raises ValueError if it is larger."""
    if value < 0:
        raise ValueError("negative number")
    out = bytearray(size)
    for at in range(size - 1, -1, -1):
        value, two = divmod(value, 100)
        out[at] = two // 10 << 4 | two % 10
    if value:
        raise ValueError("number too large")
    return bytes(out)


def digits(data):
    """Digits of a cn field as text: up to the first F nibble; only Fs may follow."""
    text = data.hex()
    end = text.find("f")
    if end >= 0:
        if text[end:].strip("f"):
            raise ValueError("digits after padding")
        text = text[:end]
    if not text.isdigit():
        raise ValueError("not a decimal number")
    return text


def year_month(yy, mm):
    """Months since year 0 of two BCD bytes; years up to 49 belong to 20yy (Book 4, 6.7.3).

    Raises ValueError for a month that does not exist.
    """
    year = to_int(bytes((yy,)))
    month = to_int(bytes((mm,)))
    if not 1 <= month <= 12:
        raise ValueError("no such month")
    return (2000 + year if year <= 49 else 1900 + year) * 12 + month - 1


def yymmdd(data):
    """(months since year 0, day) of a three-byte date. Raises ValueError if it is none."""
    if len(data) != 3:
        raise ValueError("not a date")
    day = to_int(data[2:])
    if not 1 <= day <= 31:
        raise ValueError("no such day")
    return year_month(data[0], data[1]), day
