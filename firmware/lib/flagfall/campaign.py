# Tap campaigns: somebody pays a part of the fare for passengers who tap.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The metered fare stays what it is, and the taxi is owed all of it: a campaign takes off only what
# the card is charged, as a field of its own in the trip's record. A campaign counts for the trips
# that begin while it runs, so that the passenger's price does not change under way.

MAX_CAMPAIGNS = 16
MAX_NAME = 16  # characters: they fit a receipt's line
_NAMES = ("id", "name", "from", "until", "off", "percent", "cap")


class CampaignError(ValueError):
    """A list of campaigns that makes no sense. The text says why."""


def parse(rows):
    """Check a list of dicts: id (1 to 65535), name, from, until (UTC seconds since 2000, the last
    not included), off (minor units) or percent (1 to 100), cap (minor units, may be left out).
    Returns it. Raises CampaignError."""
    if not isinstance(rows, list) or len(rows) > MAX_CAMPAIGNS:
        raise CampaignError("campaigns: a list of up to %d is needed" % MAX_CAMPAIGNS)
    seen = []
    for row in rows:
        if not isinstance(row, dict):
            raise CampaignError("campaigns: each is an object")
        for name in row:
            if name not in _NAMES:
                raise CampaignError("campaigns: unknown field %s" % name)
        _integer(row, "id", 1, 65535)
        _integer(row, "from", 0, 0xFFFFFFFF)
        _integer(row, "until", row["from"] + 1, 0xFFFFFFFF)
        if ("off" in row) == ("percent" in row):
            raise CampaignError("campaigns: either off or percent is needed")
        if "off" in row:
            _integer(row, "off", 1, 0x3FFFFFFF)
        else:
            _integer(row, "percent", 1, 100)
        if "cap" in row:
            _integer(row, "cap", 1, 0x3FFFFFFF)
        name = row.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
            raise CampaignError("campaigns: a name of 1 to %d characters is needed" % MAX_NAME)
        for c in name:
            if c < " ":
                raise CampaignError("campaigns: control characters do not print")
        if row["id"] in seen:
            raise CampaignError("campaigns: id %d occurs twice" % row["id"])
        seen.append(row["id"])
    return rows


def _integer(row, name, low, high):
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise CampaignError("campaigns: %s must be %d to %d" % (name, low, high))


def best(campaigns, begun_utc_s, fare, due):
    """(discount, campaign) for a trip that began at this UTC second: the highest discount.

    `fare`, without supplements, is what a percentage is of; `due` is all that the passenger owes.
    At least one minor unit stays to be charged: a card takes no payment of nothing. (0, None) if
    no campaign applies.
    """
    most, found = 0, None
    for row in campaigns:
        if not row["from"] <= begun_utc_s < row["until"]:
            continue
        off = row["off"] if "off" in row else fare * row["percent"] // 100
        off = min(off, fare, row.get("cap", off), due - 1)
        if off > most:
            most, found = off, row
    return most, found
