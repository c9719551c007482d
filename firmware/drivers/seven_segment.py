# Seven segments: characters as the segments that make them.
# MIT licence, (c) 2026 The Flagfall contributors.
#
#      a          bit 0 is a, bit 6 is g, bit 7 the point behind the digit
#    f   b
#      g
#    e   c
#      d

POINT = 0x80
ALL = 0xFF
_FONT = {
    "0": 0x3F, "1": 0x06, "2": 0x5B, "3": 0x4F, "4": 0x66,
    "5": 0x6D, "6": 0x7D, "7": 0x07, "8": 0x7F, "9": 0x6F,
    " ": 0x00, "-": 0x40, "E": 0x79, "F": 0x71, "H": 0x76,
    "L": 0x38, "P": 0x73, "r": 0x50, "o": 0x5C,
}  # fmt: skip


def encode(text, width):
    """`text` as `width` bytes of segments, to the right; a point takes no place of its own.

    What does not fit becomes dashes: a figure that lost a digit would be a wrong figure.
    Characters without a shape are dark.
    """
    cells = []
    for c in text:
        if c == "." and cells and not cells[-1] & POINT:
            cells[-1] |= POINT
        else:
            cells.append(_FONT.get(c, 0))
    if len(cells) > width:
        return bytes([_FONT["-"]] * width)
    return bytes([0] * (width - len(cells)) + cells)
