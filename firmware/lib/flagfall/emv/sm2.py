# Verifying SM2 signatures on the recommended curve (GB/T 32918.2 and .5; ISO/IEC 14888-3).
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Integers of 256 bit on the runtime's own arithmetic. Nothing here is secret, so nothing is
# done in constant time; there is no signing in the firmware.

from flagfall.emv.sm3 import sm3

_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
_GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0

USER_ID = b"1234567812345678"


def on_curve(key):
    """True if the 64 bytes X || Y are a point of the curve."""
    if len(key) != 64:
        return False
    x = int.from_bytes(key[:32], "big")
    y = int.from_bytes(key[32:], "big")
    return x < _P and y < _P and (y * y - (x * x - 3) * x - _B) % _P == 0


def identity_hash(key, user_id=USER_ID):
    """Z_A: the hash that binds user, curve and public key (GB/T 32918.2, 5.5)."""
    curve = b""
    for number in (_P - 3, _B, _GX, _GY):
        curve += number.to_bytes(32, "big")
    return sm3((len(user_id) * 8).to_bytes(2, "big"), user_id, curve, key)


# Points are (X, Y, Z) with x = X / Z^2, y = Y / Z^3; Z = 0 is the point at infinity.


def _double(point):
    x, y, z = point
    if z == 0 or y == 0:
        return 1, 1, 0
    z2 = z * z % _P
    y2 = y * y % _P
    s = 4 * x * y2 % _P
    m = 3 * (x - z2) * (x + z2) % _P  # the curve's a is -3
    x3 = (m * m - 2 * s) % _P
    return x3, (m * (s - x3) - 8 * y2 * y2) % _P, 2 * y * z % _P


def _add(point, x2, y2):
    """Add the affine point (x2, y2)."""
    x1, y1, z1 = point
    if z1 == 0:
        return x2, y2, 1
    zz = z1 * z1 % _P
    h = (x2 * zz - x1) % _P
    r = (y2 * zz * z1 - y1) % _P
    if h == 0:
        return _double(point) if r == 0 else (1, 1, 0)
    hh = h * h % _P
    hhh = hh * h % _P
    v = x1 * hh % _P
    x3 = (r * r - hhh - 2 * v) % _P
    return x3, (r * (v - x3) - y1 * hhh) % _P, z1 * h % _P


def _both(s, t, x, y):
    """s G + t (x, y): one chain of doublings for both (Shamir's trick)."""
    bx, by, bz = _add((_GX, _GY, 1), x, y)
    if bz:
        inverse = pow(bz, _P - 2, _P)
        square = inverse * inverse % _P
        bx, by = bx * square % _P, by * square * inverse % _P
    result = (1, 1, 0)
    for i in range(255, -1, -1):
        result = _double(result)
        first = s >> i & 1
        second = t >> i & 1
        if first and second:
            if bz:
                result = _add(result, bx, by)
        elif first:
            result = _add(result, _GX, _GY)
        elif second:
            result = _add(result, x, y)
    return result


def verify(key, signature, *message):
    """True if `signature` (r || s, 64 bytes) over the concatenated `message` is by `key` (X || Y).

    GB/T 32918.2, section 7.1, with SM3 and the default user id.
    """
    if len(signature) != 64 or not on_curve(key):
        return False
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if not (0 < r < _N and 0 < s < _N):
        return False
    t = (r + s) % _N
    if t == 0:
        return False
    e = int.from_bytes(sm3(identity_hash(key), *message), "big")
    x = int.from_bytes(key[:32], "big")
    y = int.from_bytes(key[32:], "big")
    px, _, pz = _both(s, t, x, y)
    if pz == 0:
        return False
    # x1 = r - e (mod n); compare without dividing by Z^2. p > n, so x1 may be n higher.
    x1 = (r - e) % _N
    zz = pz * pz % _P
    return x1 * zz % _P == px or (x1 + _N < _P and (x1 + _N) * zz % _P == px)
