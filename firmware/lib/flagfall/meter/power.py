# What becomes of a trip when the power comes back.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# MID Annex IX 9: after a temporary dip (an engine start) the meter goes on without loss of data;
# after a longer one the measurement is aborted and the meter returns to For Hire. No figure is
# given there: the limit is a setting, 20 s by default. The length of a dip is known from the
# RTC, in whole seconds, so it may be longer than measured by up to a second.

DEFAULT_LIMIT_S = 20

RESUME = 1  # Taximeter.restore(): nothing is lost but the time without power, which is not charged
CLOSE = 2  # Taximeter.restore(), record the trip as interrupted, Taximeter.interrupt()


def after_dip(last_seen_s, now_s, limit_s=DEFAULT_LIMIT_S):
    """RESUME or CLOSE for a trip last seen at `last_seen_s` (UTC since 2000) by the RTC.

    A clock that stands before the last sign of life, or was never set (0), tells nothing about
    the dip: the trip is closed at its last fare rather than charged on a guess.
    """
    if not now_s or not last_seen_s or now_s < last_seen_s:
        return CLOSE
    return RESUME if now_s - last_seen_s <= limit_s else CLOSE
