"""A client from elsewhere: libnfc's own program on the simulated chip (Debian libnfc-bin)."""

import os
import subprocess

from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.pty_port import PtyPort
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.pn532 import PN532Chip


class Plain(Card):
    def apdu(self, command):
        return b"\x6d\x00"


def nfc_list(port):
    done = subprocess.run(
        ["nfc-list", "-v"],
        env={**os.environ, "LIBNFC_DEFAULT_DEVICE": f"pn532_uart:{port.path}"},
        capture_output=True,
        timeout=60,
        check=True,
        text=True,
    )
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_nfc_list_finds_the_card_and_prints_its_ats():
    field = Field()
    card = Plain()
    card.uid = bytes.fromhex("04A1B2C3D4E5F6")
    card.ats = bytes.fromhex("0A78807002FFFF112233")
    field.place(card)
    with PtyPort(PN532Chip(field)) as port:
        lines = nfc_list(port)
        assert "1 ISO14443A passive target(s) found:" in lines
        assert "ATQA (SENS_RES): 00 04" in lines
        assert "UID (NFCID1): 04 a1 b2 c3 d4 e5 f6" in lines
        assert "SAK (SEL_RES): 20" in lines
        assert "ATS: 78 80 70 02 ff ff 11 22 33" in lines
        assert "* Max Frame Size accepted by PICC: 256 bytes" in lines


def test_nfc_list_finds_no_card_and_can_be_run_again_on_the_same_port():
    field = Field()
    with PtyPort(PN532Chip(field)) as port:
        assert "0 ISO14443A passive target(s) found." in nfc_list(port)
        field.place(Plain())
        assert "1 ISO14443A passive target(s) found:" in nfc_list(port)
        field.remove()
        assert "0 ISO14443A passive target(s) found." in nfc_list(port)


def test_nfc_list_finds_a_type_b_card():
    field = Field()
    card = Plain()
    card.kind = "B"
    card.uid = bytes.fromhex("B1A2C3D4")
    card.app_data = bytes.fromhex("00112233")
    card.protocol_info = bytes.fromhex("008171")
    field.place(card)
    with PtyPort(PN532Chip(field)) as port:
        lines = nfc_list(port)
        assert "0 ISO14443A passive target(s) found." in lines
        assert "1 ISO14443B passive target(s) found:" in lines
        assert "PUPI: b1 a2 c3 d4" in lines
        assert "Application Data: 00 11 22 33" in lines
        assert "Protocol Info: 00 81 71" in lines
        assert "* Maximum frame sizes: 256 bytes" in lines
        assert "* Frame Waiting Time: 38.66 ms" in lines
