# A small card for the kernel's tests, on both runtimes: test keys, records from a list, and
# every part of an answer open to change. Test keys; they protect nothing.

import hashlib

from flagfall.emv import bcd, dol
from flagfall.emv.aid import parse_aid
from flagfall.emv.capk import CapkStore
from flagfall.emv.terminal import ECASH, ODA, Terminal
from flagfall.emv.tlv import encode
from flagfall.emv.transaction import Transaction

RID = bytes.fromhex("A000000333")
AID = RID + bytes.fromhex("010106")
PAN = "6210948000000110"
DATE = bytes.fromhex("261124")
TIME = bytes.fromhex("101112")
UN = bytes.fromhex("01234567")

# The acquirer row of payment terminals in the field, its limits made smaller: floor 500.00,
# contactless limit 999.00, CVM limit 800.00.
AID_ROW = (
    "9F0608A000000333010106DF0101009F08020030DF1105D84000A800DF1205D84004F800DF1305001000"
    "00009F1B0400000001DF150400000000DF160199DF170199DF14039F3704DF1801019F7B06000000050000"
    "DF1906000000050000DF2006000000099900DF2106000000080000"
)

# p and q of test keys: CA 640 bit, issuer 576 bit, card 512 bit; all with exponent 3.
_PRIMES = {
    "test-ca": (
        0xC9ECEF2480976D3B200D77A404920B8BC5242202E4F0F72F2A9BC48402B26960F80B31CC3F21E735,
        0xE16BAB7E663233E47F870F89355046F2F6C9307B9EC5FCB8985B57D126A8FD24F1F08A6A80F9128B,
    ),
    "test-issuer": (
        0xEBB71F949C1FFBF6AC5D4EB630095365C42FA01D6F304FFBF3C13E643F942F33D1DCF087,
        0xDF7E3FD061634F45D80D3824718271096AC6E29DD80EFD6EEF80D483B2FB02E8E3738D07,
    ),
    "test-card": (
        0xDEE88899F041C0E7DB55FAA72762FAD5AF3095ED98F81EFE26AB773E4AB7AB37,
        0xF26A8CE63122204D2BCBDCF9D7255A23A1DFFF0B38C8A73C490E962BD495E487,
    ),
}


def _inverse(a, m):
    """a^-1 mod m; MicroPython's pow() has no negative exponents."""
    r0, r1, s0, s1 = m, a, 0, 1
    while r1:
        q = r0 // r1
        r0, r1, s0, s1 = r1, r0 - q * r1, s1, s0 - q * s1
    return s0 % m


class Key:
    def __init__(self, name):
        p, q = _PRIMES[name]
        self.n = p * q
        self.size = (self.n.bit_length() if hasattr(self.n, "bit_length") else _bits(self.n)) // 8
        self.d = _inverse(3, (p - 1) * (q - 1))
        self.modulus = self.n.to_bytes(self.size, "big")

    def sign(self, head, tail, size=None):
        """6A, head, hash over head and tail, BC; under the private exponent."""
        size = self.size
        x = b"\x6a" + head + hashlib.sha1(head + tail).digest() + b"\xbc"  # noqa: S324
        if len(x) != size:
            raise ValueError("wrong length")
        return pow(int.from_bytes(x, "big"), self.d, self.n).to_bytes(size, "big")


def _bits(n):
    count = 0
    while n:
        n >>= 1
        count += 1
    return count


CA = Key("test-ca")
ISSUER = Key("test-issuer")
ICC = Key("test-card")


def issuer_certificate(owner="62109480", expiry="1240", serial="000001", key=ISSUER, ca=CA):
    """(90, 92): the issuer key under the CA."""
    room = ca.size - 36
    part, rest = key.modulus[:room], key.modulus[room:]
    while len(owner) < 8:
        owner += "f"
    head = b"\x02" + bytes.fromhex(owner + expiry + serial) + bytes((1, 1, key.size, 1))
    return ca.sign(head + part, rest + b"\x03"), rest


def card_certificate(static, pan=PAN, expiry="1240", serial="000002", key=ICC, issuer=ISSUER):
    """(9F46, 9F48): the card key under the issuer, over the static data with AIP."""
    room = issuer.size - 42
    part, rest = key.modulus[:room], key.modulus[room:]
    while len(pan) < 20:
        pan += "f"
    head = b"\x04" + bytes.fromhex(pan + expiry + serial) + bytes((1, 1, key.size, 1))
    return issuer.sign(head + part, rest + b"\x03" + static), rest


def capk_row(key=CA, index=0xE1, expiry="20491231", checksum=None):
    sha = hashlib.sha1(RID + bytes((index,)) + key.modulus + b"\x03").digest()  # noqa: S324
    return (
        encode(0x9F06, RID)
        + encode(0x9F22, bytes((index,)))
        + encode(0xDF05, bytes.fromhex(expiry))
        + encode(0xDF06, b"\x01")
        + encode(0xDF07, b"\x01")
        + encode(0xDF02, key.modulus)
        + encode(0xDF04, b"\x03")
        + encode(0xDF03, sha if checksum is None else checksum)
    )


def store():
    result = CapkStore(False)
    result.add(capk_row(), False)
    return result


def terminal(**changes):
    settings = {"profiles": (ECASH,)}
    settings.update(changes)
    capks = settings.pop("capks", None)
    aids = settings.pop("aids", None)
    return Terminal(
        156,
        156,
        [parse_aid(bytes.fromhex(AID_ROW))] if aids is None else aids,
        store() if capks is None else capks,
        **settings,
    )


class Left(Exception):
    """The card is out of the field."""


class Card:
    """An e-cash card; with `oda` also a transit card.

    `leave_at`: (APDU number from 0, "request" or "answer") at which it leaves once. `answers`:
    dict of APDU number -> whole response to give instead (the card still does its part).
    `layout`: records as lists of tags in reading order; the first is the signed one.
    """

    pdol = bytes.fromhex("9F66049F02069F03069F1A0295055F2A029A039C019F3704")

    def __init__(self, **changes):
        self.aid = AID
        self.entries = []  # directory entries in front of its own
        self.pan = PAN
        self.expiry = "401231"
        self.track2_expiry = "4012"
        self.balance = 50000
        self.balance_shown = "before"
        self.atc = 10
        self.aip = bytes.fromhex("7C00")
        self.oda = False
        self.version = 1
        self.application_version = b"\x00\x30"
        self.capk_index = 0xE1
        self.certificate = {}  # arguments for the certificates
        self.issuer = {}
        self.format = None
        self.layout = [
            ("5F24", "5A", "9F08", "9F4A", "8F", "9F32", "90", "92"),
            ("9F46", "9F47", "9F48"),
            ("9F4B",),
            ("9F74",),
        ]
        self.personalised = {}  # tag as text -> value, before signing
        self.replace = {}  # the same after signing; None: leave it out
        self.gpo_replace = {}
        self.ctq = b"\x00\x00"
        self.last_extra = b""
        self.status = {}  # "ppse", "select", "gpo", "record" -> status word
        self.answers = {}
        self.leave_at = None
        self.psn = b"\x01"
        self.change_records = None  # function of the list of record contents, after GPO
        for name, value in changes.items():
            setattr(self, name, value)
        self.backup = None
        self.count = 0
        self.log = []
        self._records = None

    def field_on(self):
        self.count = 0
        self._records = None
        self._selected = False

    def apdu(self, command):
        number = self.count
        self.count += 1
        if self.leave_at == (number, "request"):
            self.leave_at = None
            raise Left
        self.log.append(command)
        response = self._execute(command)
        response = self.answers.get(number, response)
        if self.leave_at == (number, "answer"):
            self.leave_at = None
            raise Left
        return response

    def _status(self, name, body):
        word = self.status.get(name, 0x9000)
        return (body if word == 0x9000 else b"") + word.to_bytes(2, "big")

    def _execute(self, command):
        if command[:4] == b"\x00\xa4\x04\x00":
            name = command[5 : 5 + command[4]]
            self._records = None
            if name == b"2PAY.SYS.DDF01":
                entry = encode(0x61, encode(0x4F, self.aid) + encode(0x87, b"\x01"))
                entry = b"".join([encode(0x61, e) for e in self.entries]) + entry
                body = encode(0x84, name) + encode(0xA5, encode(0xBF0C, entry))
                return self._status("ppse", encode(0x6F, body))
            if name != self.aid:
                return b"\x6a\x82"
            flags = encode(0xBF0C, encode(0xDF61, b"\x40")) if self.oda else b""
            body = encode(0x84, name) + encode(0xA5, encode(0x9F38, self.pdol) + flags)
            return self._status("select", encode(0x6F, body))
        if command[:2] == b"\x80\xa8":
            return self._status("gpo", self._gpo(command[7:-1]))
        if command[:2] == b"\x00\xb2":
            return self._record(command[2], command[3] >> 3)
        if command == b"\x80\xca\x9f\x79\x00":
            return encode(0x9F79, bcd.from_int(self.balance, 6)) + b"\x90\x00"
        return b"\x6d\x00"

    def _gpo(self, data):
        asked = {}
        at = 0
        for tag, length in dol.parse(self.pdol):
            asked[tag] = data[at : at + length]
            at += length
        self.atc += 1
        amount = bcd.to_int(asked[0x9F02])
        online = asked[0x9F66][1] & 0x80 or amount > self.balance
        cvr = 0xA0 if online else 0x90
        self.debit = 0 if online else amount
        shown = self.balance - (self.debit if self.balance_shown == "after" else 0)
        atc = self.atc.to_bytes(2, "big")
        self.related = (
            b"\x01" + hashlib.sha1(atc + self.pan.encode()).digest()[:4] + self.ctq + b"\x00"  # noqa: S324
        )
        tail = asked[0x9F37]
        if self.version == 1:
            tail += asked[0x9F02] + asked[0x5F2A] + self.related
        objects = {
            "57": self._padded(self.pan + "d" + self.track2_expiry + "2011234567"),
            "5A": self._padded(self.pan),
            "5F24": bytes.fromhex(self.expiry),
            "9F08": self.application_version,
            "9F4A": b"\x82",
            "8F": bytes((self.capk_index,)),
            "9F32": b"\x03",
            "9F47": b"\x03",
            "9F74": b"ECC001",
        }
        objects.update(self.personalised)
        objects["90"], objects["92"] = issuer_certificate(**self.issuer)
        static = b""
        for tag in self.layout[0]:
            static += encode(int(tag, 16), objects[tag])
        certificate = {"pan": self.pan}
        certificate.update(self.certificate)
        signed = card_certificate(static + self.aip, **certificate)
        objects["9F46"], objects["9F48"] = signed
        form = self.format if self.format is not None else 0x05
        head = bytes((form, 1, 3, 2)) + atc
        head += b"\xbb" * (ICC.size - 22 - len(head))
        objects["9F4B"] = ICC.sign(head, tail)
        objects.update(self.replace)
        self._records = []
        for record in self.layout:
            body = b""
            for tag in record:
                if objects[tag] is not None:
                    body += encode(int(tag, 16), objects[tag])
            self._records.append(body)
        if self.version == 1:
            self._records[-1] += encode(0x9F69, self.related)
        self._records[-1] += self.last_extra
        if self.change_records is not None:
            self.change_records(self._records)
        issuer_data = bytes.fromhex("07010103") + bytes((cvr, 0, 0, 1, 0x0A, 1))
        issuer_data += bcd.from_int(shown, 5) + b"\x11\x22\x33\x44"
        answer = {
            "82": self.aip,
            "94": bytes((0x10, 1, len(self.layout), 1)),
            "9F36": atc,
            "9F26": hashlib.sha1(b"ac" + atc).digest()[:8],  # noqa: S324
            "9F10": issuer_data,
            "57": objects["57"],
            "5F34": self.psn,
            "9F6C": self.ctq,
        }
        if online and not (self.oda and asked[0x9F66][0] & 1):
            del answer["94"]
        answer.update(self.gpo_replace)
        body = b""
        for tag in sorted(answer):
            if answer[tag] is not None:
                body += encode(int(tag, 16), answer[tag])
        return encode(0x77, body)

    def _padded(self, digits):
        return bytes.fromhex(digits + "f" if len(digits) % 2 else digits)

    def _record(self, number, sfi):
        if self._records is None:
            if self.backup is None or sfi != 2 or number != len(self.layout):
                return b"\x69\x85"
            return self.backup + b"\x90\x00"
        if sfi != 2 or not 1 <= number <= len(self._records):
            return b"\x6a\x83"
        word = self.status.get("record")
        if word is not None:
            return word.to_bytes(2, "big")
        body = encode(0x70, self._records[number - 1])
        if number == len(self._records):
            self.balance -= self.debit
            self.debit = 0
            self.backup = body
        return body + b"\x90\x00"


def tap(card, amount=2160, at=None, un=UN, busy=False, **settings):
    """Hold `card` to a terminal once; return the Transaction."""
    transaction = Transaction(terminal() if at is None else at, amount, un, DATE, TIME, **settings)
    card.field_on()
    command = transaction.start()
    while command is not None:
        try:
            response = card.apdu(command)
        except Left:
            transaction.card_lost()
            break
        while busy and transaction.work():
            pass
        command = transaction.step(response)
    return transaction


__all__ = ("ECASH", "ODA")
