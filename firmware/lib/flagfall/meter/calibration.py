# The generator constant k from a measured stretch.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# JJG 517 allows an installed meter to read from -4.0 % to +1.0 %: to show less than was driven,
# never much more. Tyres wear by about 2 % and make it show more from year to year. So k is not
# set to the measured pulses/km but a little above it, by default for a reading of -0.5 % (-5,000
# ppm). A reading error e means k = pulses per true km / (1 + e).

MIN_K = 100
MAX_K = 65535
LOWEST_PPM = -40000
HIGHEST_PPM = 10000
DEFAULT_AIM_PPM = -5000
SHORTEST_M = 200


class CalibrationError(Exception):
    """The measured drive cannot give a k. The message says what to do."""


def constant(pulses, stretch_mm, aim_ppm=DEFAULT_AIM_PPM):
    """k in pulses/km, after `pulses` were counted over a stretch of `stretch_mm`.

    Raises CalibrationError if the stretch is too short for one pulse to be 0.2 % of it, if k is
    out of range, or if the aim lies outside the band.
    """
    if not LOWEST_PPM <= aim_ppm <= HIGHEST_PPM:
        raise CalibrationError("aim between -4 % and +1 %: JJG 517")
    if stretch_mm < SHORTEST_M * 1000:
        raise CalibrationError("the stretch must be %d m or longer" % SHORTEST_M)
    if pulses < 500:
        raise CalibrationError(
            "%d pulses are too few: take a stretch that gives 500 or more" % pulses
        )
    den = stretch_mm * (1000000 + aim_ppm)
    k = (pulses * 1000000 * 1000000 + den // 2) // den
    if not MIN_K <= k <= MAX_K:
        raise CalibrationError("k would be %d: the meter takes %d to %d" % (k, MIN_K, MAX_K))
    return k


def reading_error_ppm(k, pulses, stretch_mm):
    """By how much a meter with `k` reads too much over a stretch, in parts per million."""
    true = stretch_mm * k
    return (pulses * 1000000 - true) * 1000000 // true


def within_band(error_ppm):
    """True within the installed error of JJG 517, -4.0 % to +1.0 %."""
    return LOWEST_PPM <= error_ppm <= HIGHEST_PPM
