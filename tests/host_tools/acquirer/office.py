"""An office with a fleet key, a ledger full of taps, and a host on TCP in a process of its own."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from flagfall_host.acquirer.book import Book
from flagfall_host.acquirer.client import Acquirer
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.profile import Profile
from flagfall_host.bench.cards import cryptogram

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))
from recorded_unit import CARD, RecordedUnit

TERMINAL = Terminal("10000001", "880210010210160")
TEST_IMK = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")  # a test key of these tests
FLEET_KEY = rsa.generate_private_key(65_537, 2048)
PANS = ("6210948000000011", "6210948000000102", "621094800000000004")
ANSWER_S = 20  # nobody waits so long unless an answer is lost
SHORT_S = 0.5  # where a test loses answers


def tlv(tag, value):
    n = len(value)
    return bytes.fromhex(tag) + (bytes([n]) if n < 128 else bytes([0x81, n])) + value


def card_data(amount, atc, pan=PANS[0], psn=1, *, online=False, cvn=1, imk=TEST_IMK, **other):
    """The plain card data of a tap, with a true cryptogram, as docs/formats.md section 4."""
    cvr = bytes.fromhex("03A00000" if online else "03900000")
    issuer_data = b"\x07\x01" + bytes([cvn]) + cvr + b"\x01"
    terminal = {
        "9F02": bytes.fromhex(f"{amount:012d}"),
        "9F03": bytes(6),
        "9F1A": b"\x01\x56",
        "95": bytes(5),
        "5F2A": b"\x01\x56",
        "9A": b"\x26\x11\x24",
        "9C": b"\0",
        "9F37": atc.to_bytes(4, "big"),
    }
    key = cryptogram.card_key(imk, pan, psn)
    aip = b"\x7c\x00"
    if cvn == 1:
        session = cryptogram.session_key(key, atc)
        ac = cryptogram.cvn01(session, terminal, aip, atc, cvr)
    else:
        session = cryptogram.common_session_key(key, atc)
        ac = cryptogram.cvn18(session, terminal, aip, atc, issuer_data)
    digits = f"{pan}D4912220" + "0" * 8
    values = {
        "57": bytes.fromhex(digits + "F" * (len(digits) % 2)),
        "5A": bytes.fromhex(pan + "F" * (len(pan) % 2)),
        "5F34": bytes([psn]),
        "5F24": b"\x49\x12\x31",
        "9F26": ac,
        "9F27": b"\x80" if online else b"\x40",
        "9F10": issuer_data,
        "9F36": atc.to_bytes(2, "big"),
        "82": aip,
        "9F33": b"\xe0\xe9\xc8",
        "9F34": bytes(3),
        "9F35": b"\x22",
        "9F1E": b"FF000001",
        "84": bytes.fromhex("A000000333010106"),
        "9F09": b"\x00\x20",
        "9F41": b"\0\0\0\x05",
        "9F74": b"ECC001",
        **terminal,
        **other,
    }
    return b"".join(tlv(tag, value) for tag, value in values.items() if value)


class TapUnit(RecordedUnit):
    """A unit whose payments carry sealed card data."""

    def tap(self, amount, pan=PANS[0], **card):
        """One card trip."""
        if self.data_key is None:
            self.key_record(FLEET_KEY.public_key())
        self.atc += 1
        tag = bytes([PANS.index(pan) + 1]) * 8
        sealed = self.seal(card_data(amount, self.atc, pan, **card))
        profile = 2 if card.get("online") else 1
        seq = self.payment(
            amount, last=pan[-4:], atc=self.atc, tag=tag, sealed=sealed, profile=profile
        )
        self.trip(amount, 0, CARD)
        return seq


def booked(ledger, taps=6, unit_id="TAXI-1"):
    """A unit's day with so many taps in the ledger; returns the unit and the taps' sum."""
    unit = TapUnit(unit_id)
    amounts = [1000 + 311 * i for i in range(taps)]
    for i, amount in enumerate(amounts):
        unit.tap(amount, PANS[i % len(PANS)], online=i % 3 == 2)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    return unit, sum(amounts)


_PROGRAM = """
import json, sys
from pathlib import Path
from flagfall_host.acquirer.faults import Faults
from flagfall_host.acquirer.offers import read
from flagfall_host.acquirer.simulator import run
o = json.loads(sys.argv[1])
faults = Faults(o["plan"], o["chaos"])
run(Path(o["book"]), o["port"], Path(o["keys"]), o["profile"], faults,
    answer_s=o["answer_s"], delay_s=o["delay_s"],
    offers=read(Path(o["offers"])) if o["offers"] else None)
"""


class Host:
    """The simulated host in a process of its own; `command` starts it as a person would."""

    def __init__(
        self,
        folder,
        plan=None,
        *,
        chaos=None,
        delay_s=0,
        profile="unionpay",
        command=False,
        answer_s=ANSWER_S,
        offers=None,
    ):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._keys = folder / "test_issuer_keys.json"
        self._keys.write_text(json.dumps({"test_imk_ac": TEST_IMK.hex()}))
        self.book_path = folder / "book.sqlite"
        self.port = 0
        self.profile, self.delay_s, self.command = profile, delay_s, command
        self.answer_s, self.offers = answer_s, offers
        self.start(plan, chaos)

    def start(self, plan=None, chaos=None):
        if self.command:
            line = [sys.executable, "-m", "flagfall_host.cli.main", "acquirer", "simulate"]
            line += ["--book", self.book_path, "--issuer-keys", self._keys]
            line += ["--port", str(self.port), "--answer-s", str(self.answer_s)]
            for name, count in (plan or {}).items():
                line += ["--fault", f"{name}={count}"]
        else:
            options = {
                "plan": plan or {},
                "chaos": chaos,
                "book": str(self.book_path),
                "keys": str(self._keys),
                "port": self.port,
                "profile": self.profile,
                "answer_s": self.answer_s,
                "delay_s": self.delay_s,
                "offers": str(self.offers or ""),
            }
            line = [sys.executable, "-c", _PROGRAM, json.dumps(options)]
        self._log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=self._log)
        self.port = json.loads(self._process.stdout.readline())["port"]

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def restart(self):
        self.kill()
        self.start()

    def everything(self):
        with contextlib.closing(Book(self.book_path)) as book:
            return book.everything()

    def sales(self):
        with contextlib.closing(Book(self.book_path)) as book:
            return book.sales()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def acquirer(ledger, host, terminal=TERMINAL, keys=None):
    """A terminal that talks to `host`, as patient as that expects."""
    profile = Profile.load(host.profile).waiting(host.answer_s)
    return Acquirer(
        ledger, FLEET_KEY, terminal, "127.0.0.1", host.port, profile=profile, keys=keys
    )


class Nobody:
    """A host that is not there."""

    profile, port, answer_s = "unionpay", 1, 1


def agree(ledger, host, taps, amount):
    """Ledger and the host's book say the same, to the fen, payment by payment."""
    books = ledger.summary()
    assert books["states"] == {"settled": (taps, amount)}, books["states"]
    assert host.everything() == {
        "payments": taps,
        "amount": amount,
        "settled_payments": taps,
        "settled_amount": amount,
    }
    payments = {(p["unit_id"], p["seq"]): p for p in ledger.rows("payments")}
    ours = []
    for m in ledger.rows("money"):
        p = payments[m["unit_id"], m["seq"]]
        ours.append(
            (m["terminal_id"], m["batch"], m["stan"], m["amount"], p["last_digits"], p["atc"])
        )
    assert sorted(ours) == host.sales()
    assert ledger.check() == []
