"""MicroPython builds made for tests: the headers are real, the code is noise."""

import hashlib
import random
import struct

from flagfall_host.flashing import partition_table as pt

CHIP_S3 = 9
CHIP_ESP32 = 0


def application(chip_id: int = CHIP_S3, size: int = 200_000, seed: int = 1) -> bytes:
    """An image that esptool can parse: one segment, checksum and SHA-256 at the end."""
    noise = random.Random(seed).randbytes(size // 2) + b"\0" * (size // 2)
    noise = noise[: len(noise) // 4 * 4]
    head = struct.pack("<BBBBI", 0xE9, 1, 2, 0x2F, 0x40374000)
    extended = struct.pack("<B3sHBHH4sB", 0xEE, b"\0\0\0", chip_id, 0, 0, 0xFFFF, b"\0" * 4, 1)
    segment = struct.pack("<II", 0x3FC88000, len(noise)) + noise
    checksum = 0xEF
    for byte in noise:
        checksum ^= byte
    body = head + extended + segment
    body += b"\0" * (15 - len(body) % 16) + bytes((checksum,))
    return body + hashlib.sha256(body).digest()


def combined(chip_id: int = CHIP_S3, seed: int = 1) -> tuple[bytes, bytes, bytes]:
    """(firmware.bin, its boot loader, its application) as MicroPython's build joins them."""
    boot_loader = application(chip_id, 18_000, seed + 1000)
    app = application(chip_id, 200_000, seed)
    table = pt.to_binary(
        [
            pt.Partition("nvs", 1, 2, 0x9000, 0x6000),
            pt.Partition("factory", 0, 0, 0x10000, 0x1F0000),
        ]
    )
    whole = boot_loader.ljust(0x8000, b"\xff") + table
    return whole.ljust(0x10000, b"\xff") + app, boot_loader, app
