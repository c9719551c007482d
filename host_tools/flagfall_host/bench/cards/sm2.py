"""SM2 signatures (GB/T 32918.2-2016) on the recommended curve of GB/T 32918.5-2017.

A signature is r and s, 32 bytes each, big-endian, over SM3(Z_A and message); Z_A binds the
curve, the public key and a user identity, which PBOC 3.0 fixes at "1234567812345678".
"""

import hashlib

from flagfall_host.bench.cards.sm3 import sm3

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0
USER_ID = b"1234567812345678"

_Point = tuple[int, int] | None


def _add(p: _Point, q: _Point) -> _Point:
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        if (p[1] + q[1]) % P == 0:
            return None
        slope = (3 * p[0] * p[0] + A) * pow(2 * p[1], -1, P) % P
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P) % P
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def _multiply(k: int, p: _Point) -> _Point:
    result: _Point = None
    while k:
        if k & 1:
            result = _add(result, p)
        p = _add(p, p)
        k >>= 1
    return result


def public_key(private: int) -> bytes:
    """X and Y, 64 bytes, of a private key in [1, N-2]."""
    point = _multiply(private, (GX, GY))
    if point is None:
        raise ValueError("not an SM2 private key")
    return point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def _digest(public: bytes, message: bytes) -> int:
    bits = (8 * len(USER_ID)).to_bytes(2, "big")
    curve = b"".join(v.to_bytes(32, "big") for v in (A, B, GX, GY))
    return int.from_bytes(sm3(sm3(bits + USER_ID + curve + public) + message), "big")


def sign(private: int, message: bytes) -> bytes:
    """64-byte signature. The nonce comes from key and message, so that cards answer alike."""
    public = public_key(private)
    e = _digest(public, message)
    counter = 0
    while True:
        seed = private.to_bytes(32, "big") + message + counter.to_bytes(4, "big")
        k = int.from_bytes(hashlib.sha512(seed).digest(), "big") % (N - 1) + 1
        counter += 1
        point = _multiply(k, (GX, GY))
        if point is None:
            continue
        r = (e + point[0]) % N
        if r == 0 or r + k == N:
            continue
        s = pow(1 + private, -1, N) * (k - r * private) % N
        if s:
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is that of `message` under `public` (X and Y, 64 bytes)."""
    if len(public) != 64 or len(signature) != 64:
        return False
    x, y = int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")
    if x >= P or y >= P or (y * y - (x * x * x + A * x + B)) % P:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    t = (r + s) % N
    if not (0 < r < N and 0 < s < N and t):
        return False
    point = _add(_multiply(s, (GX, GY)), _multiply(t, (x, y)))
    return point is not None and (_digest(public, message) + point[0]) % N == r
