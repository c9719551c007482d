# Binary coded decimals and the dates of cards (EMV 4.3 Book 3, section 4.3).
# MIT licence, (c) 2026 The Flagfall contributors.


def to_int(data):
    """Value of packed BCD (n format). Raises ValueError on a nibble above 9."""
    text = data.hex()
    if text.isdigit():
        return int(text)
    if text:
        raise ValueError("not a decimal number")
    return 0


def from_int(value, size):
    """Pack a non-negative `value` into `size` bytes of BCD. Raises ValueError if it is larger."""
    if value < 0:
        raise ValueError("negative number")
    text = "%0*d" % (2 * size, value)
    if len(text) > 2 * size:
        raise ValueError("number too large")
    return bytes.fromhex(text)


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


def months(year, month):
    """Months since year 0 of a two-digit year; years up to 49 belong to 20yy (Book 4, 6.7.3).

    Raises ValueError for a month that does not exist.
    """
    if not 1 <= month <= 12:
        raise ValueError("no such month")
    return (2000 + year if year <= 49 else 1900 + year) * 12 + month - 1


def mmyy(data):
    """Months since year 0 of a two-byte date, the month first. Raises ValueError if it is none."""
    month, year = divmod(to_int(data), 100)
    return months(year, month)


def yymmdd(data):
    """(months since year 0, day) of a three-byte date. Raises ValueError if it is none."""
    if len(data) != 3:
        raise ValueError("not a date")
    year, rest = divmod(to_int(data), 10000)
    month, day = divmod(rest, 100)
    if not 1 <= day <= 31:
        raise ValueError("no such day")
    return months(year, month), day
