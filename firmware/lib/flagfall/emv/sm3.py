# The SM3 hash (GB/T 32905-2016; ISO/IEC 10118-3), which no runtime here has built in.
# MIT licence, (c) 2026 The Flagfall contributors.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_M = const(0xFFFFFFFF)
_BLOCK = const(64)
_START = (
    (0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600)
    + (0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)
)  # fmt: skip


def _rotate(x, n):
    n &= 31
    return (x << n | x >> (32 - n)) & _M


def _compress(state, block, at):
    w = [int.from_bytes(block[at + i : at + i + 4], "big") for i in range(0, _BLOCK, 4)]
    for j in range(16, 68):
        x = w[j - 16] ^ w[j - 9] ^ _rotate(w[j - 3], 15)
        x ^= _rotate(x, 15) ^ _rotate(x, 23)  # permutation P1
        w.append(x ^ _rotate(w[j - 13], 7) ^ w[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        t = 0x79CC4519 if j < 16 else 0x7A879D8A
        a12 = _rotate(a, 12)
        ss1 = _rotate((a12 + e + _rotate(t, j)) & _M, 7)
        if j < 16:
            ff = a ^ b ^ c
            gg = e ^ f ^ g
        else:
            ff = a & b | a & c | b & c
            gg = e & f | (e ^ _M) & g
        tt1 = (ff + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])) & _M
        tt2 = (gg + h + ss1 + w[j]) & _M
        d, c, b, a = c, _rotate(b, 9), a, tt1
        h, g, f, e = g, _rotate(f, 19), e, tt2 ^ _rotate(tt2, 9) ^ _rotate(tt2, 17)
    after = (a, b, c, d, e, f, g, h)
    return tuple([state[i] ^ after[i] for i in range(8)])


def sm3(*parts):
    """The 32-byte digest of the concatenated `parts`."""
    data = bytearray()
    for part in parts:
        data.extend(part)
    bits = len(data) * 8
    data.append(0x80)
    data.extend(bytes((56 - len(data)) % _BLOCK))
    data.extend(bits.to_bytes(8, "big"))
    state = _START
    for at in range(0, len(data), _BLOCK):
        state = _compress(state, data, at)
    out = b""
    for word in state:
        out += word.to_bytes(4, "big")
    return out
