"""The bench's cards by name: `make("ecash")` hands one to the reader simulator.

Every card is under test keys. `expected` says how a tap should end in each terminal profile:
"ecash" (offline approval, TTQ 28000080) and "oda" (transit: ARQC and signature, TTQ 27800080).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from flagfall_host.bench.cards import keys, layout, rsa_certificates, sm2_certificates
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.cards.chip_card import ChipCard
from flagfall_host.bench.cards.hostile import ATTACKS, GarbageCard, HostileCard
from flagfall_host.bench.cards.leaving import LeavingCard
from flagfall_host.bench.cards.personalisation import (
    CA_INDEX,
    SM2_CHAIN,
    UNIONPAY_RID,
    VISITOR_RID,
    Chain,
    Personalisation,
)
from flagfall_host.errors import FlagfallError

issuer_keys = keys.issuer_keys

REVOKED_SERIAL = "000666"
_ATS = ("0578807002", "0678807102A1", "0A787780024F4A434F50", "067770820290", "0575807002")
_PROTOCOL_INFO = ("008171", "005171", "778175", "002174")  # ATQB: bit rates, FSCI and type, FWI


class NoSuchCard(FlagfallError):
    """The catalogue holds no card of that name, or a card has no such setting."""


@dataclass(frozen=True)
class Entry:
    """One kind of card: what it is, how taps end, and how it is made."""

    summary: str
    expected: Mapping[str, str]
    persons: tuple[Personalisation, ...]
    wrap: Callable[[Card, dict[str, Any]], Card] | None = None
    blocked: bool = False


def luhn(digits: str) -> str:
    """`digits` with their check digit behind them (ISO/IEC 7812-1, annex B)."""
    total = 0
    for i, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - i % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return digits + str(-total % 10)


def _pan(number: int) -> str:
    return luhn(f"6210948000000{number:02d}")


def _ends(ecash: str, oda: str) -> dict[str, str]:
    return {"ecash": ecash, "oda": oda}


_NO_PURSE = "declined: the card has no purse"
_NO_ODA = "declined: the card has no transit ODA"
_ECASH_ONLY = _ends("approved", _NO_ODA)
_ODA_ONLY = _ends(_NO_PURSE, "approved")
_KEYS_1024 = Chain(ca="ca-1152", issuer="issuer-1024", icc="icc-1024")
_KEYS_1408 = Chain(issuer="issuer-1408", icc="icc-1408", plan=layout.WIDE)
_KEYS_1984 = Chain("ca-1984", "issuer-1976", "icc-1976", layout.WIDE)
_DEBIT, _CREDIT = UNIONPAY_RID + "010101", UNIONPAY_RID + "010102"


def _leaving(card: Card, settings: dict[str, Any]) -> Card:
    wanted: dict[str, Any] = {
        k: settings.pop(k) for k in ("at_byte", "at_apdu", "part", "times") if k in settings
    }
    if "at_byte" not in wanted and "at_apdu" not in wanted:
        wanted.update(at_apdu=6, part="answer")  # 3 + 4 APDUs: the answer with the last record
    return LeavingCard(card, **wanted)


def _garbage(card: Card, settings: dict[str, Any]) -> Card:
    return GarbageCard(card, settings.pop("noise", 1), settings.pop("rate", 0.7))


def _hostile(card: Card, settings: dict[str, Any]) -> Card:
    attack = settings.pop("attack", "AFL of records without end")
    if attack not in ATTACKS:
        raise NoSuchCard(f"hostile card: no attack {attack!r}; one of: {'; '.join(ATTACKS)}")
    return HostileCard(card, attack)


_ECASH = Personalisation(pan=_pan(10))
_ODA = replace(_ECASH, pan=_pan(20), aid=_DEBIT, label="TEST DEBIT", ecash=False, oda=True)

_ENTRIES: dict[str, Entry] = {
    "ecash": Entry("e-cash, RSA 1152, 4 records, balance 500.00", _ECASH_ONLY, (_ECASH,)),
    "ecash-8-reads": Entry(
        "e-cash with the 8 records of a 2015 personalisation",
        _ECASH_ONLY,
        (replace(_ECASH, pan=_pan(11), rsa=Chain(plan=layout.EIGHT)),),
    ),
    "ecash-1024": Entry(
        "e-cash, RSA 1024: the signature comes with GPO, 3 records",
        _ECASH_ONLY,
        (replace(_ECASH, pan=_pan(12), rsa=_KEYS_1024),),
    ),
    "ecash-1408": Entry(
        "e-cash, RSA 1408 with exponent 65537, 6 records",
        _ECASH_ONLY,
        (replace(_ECASH, pan=_pan(13), rsa=_KEYS_1408),),
    ),
    "ecash-1984": Entry(
        "e-cash under a CA key of 1984 bit, card key of 1976, 6 records of up to 254 bytes",
        _ECASH_ONLY,
        (replace(_ECASH, pan=_pan(14), rsa=_KEYS_1984),),
    ),
    "ecash-low": Entry(
        "e-cash with 1.50 left",
        _ends("declined: too little in the purse", _NO_ODA),
        (replace(_ECASH, pan=_pan(15), balance=150),),
    ),
    "oda-debit": Entry("transit ODA debit card, no purse", _ODA_ONLY, (_ODA,)),
    "oda-credit": Entry(
        "transit ODA credit card, RSA 1408, no purse",
        _ODA_ONLY,
        (replace(_ODA, pan=_pan(21), aid=_CREDIT, label="TEST CREDIT", rsa=_KEYS_1408),),
    ),
    "two-applications": Entry(
        "credit listed first but debit preferred, each with transit ODA and debit with a purse",
        _ends("approved", "approved"),
        (
            replace(_ODA, pan=_pan(22), aid=_CREDIT, label="TEST CREDIT", priority=2),
            replace(_ODA, pan=_pan(23), priority=1, ecash=True),
        ),
    ),
    "phone": Entry(
        "a phone that wants its owner: 6986 at the first tap, then purse or ODA",
        _ends("approved at the second tap", "approved at the second tap"),
        (replace(_ODA, pan=_pan(24), label="TEST PHONE", ecash=True, wants_owner=True),),
    ),
    "online-only": Entry(
        "bank card that neither pays offline nor signs for transit",
        _ends(_NO_PURSE, _NO_ODA),
        (replace(_ODA, pan=_pan(25), oda=False),),
    ),
    "visitor": Entry(
        "Kernel 3 card of another scheme, ARQC with signature of format 95",
        _ends(_NO_PURSE, "approved"),
        (
            Personalisation(
                pan="4111111111111111",
                aid=VISITOR_RID + "1010",
                label="TEST VISITOR",
                aip=b"\x20\x00",
                rsa=Chain("ca-visitor", "issuer-visitor", "icc-visitor", layout.VISITOR),
                ecash=False,
                oda=True,
                kernel3=True,
                kernel_id="03",
                form_online=0x95,
            ),
        ),
    ),
    "sm2": Entry(
        "e-cash with SM2 certificates only",
        _ends("approved, if the terminal has SM2", _NO_ODA),
        (replace(_ECASH, pan=_pan(30), rsa=None, sm2=SM2_CHAIN),),
    ),
    "dual": Entry(
        "e-cash with both chains: SM2 if the terminal offers it (DF69), else RSA",
        _ECASH_ONLY,
        (replace(_ECASH, pan=_pan(31), sm2=SM2_CHAIN),),
    ),
    "expired": Entry(
        "e-cash whose application ended on 31 December 2022",
        _ends("declined: expired", _NO_ODA),
        (replace(_ECASH, pan=_pan(40), expiry="221231"),),
    ),
    "certificate-expired": Entry(
        "e-cash whose certificates ended in December 2022",
        _ends("declined: certificate", _NO_ODA),
        (replace(_ECASH, pan=_pan(41), rsa=Chain(expiry="1222")),),
    ),
    "blocked": Entry(
        "blocked card: every SELECT is answered 6A81",
        _ends("declined: blocked", "declined: blocked"),
        (replace(_ECASH, pan=_pan(42)),),
        blocked=True,
    ),
    "application-blocked": Entry(
        "blocked application: SELECT is answered with the FCI and 6283",
        _ends("declined: blocked", "declined: blocked"),
        (replace(_ECASH, pan=_pan(43), blocked=True),),
    ),
    "wrong-signature": Entry(
        "e-cash whose dynamic signature does not open; that shows before the debit",
        _ends("declined: signature", _NO_ODA),
        (replace(_ECASH, pan=_pan(44), spoils_signature="block"),),
    ),
    "wrong-hash": Entry(
        "e-cash whose dynamic signature opens but is over other data: seen only after the debit",
        _ends("disputed: debited, signature", _NO_ODA),
        (replace(_ECASH, pan=_pan(49), spoils_signature="hash"),),
    ),
    "wrong-static-data": Entry(
        "e-cash whose expiry date was changed after signing",
        _ends("declined: certificate", _NO_ODA),
        (replace(_ECASH, pan=_pan(45), changes_after_signing={"5F24": "481231"}),),
    ),
    "revoked-issuer": Entry(
        "e-cash of an issuer key that was revoked",
        _ends("declined: certificate", _NO_ODA),
        (
            replace(
                _ECASH,
                pan=_pan(46),
                rsa=Chain(issuer="issuer-revoked", issuer_serial=REVOKED_SERIAL),
            ),
        ),
    ),
    "unknown-ca": Entry(
        "e-cash under a CA key that no unit is given",
        _ends("declined: certificate", _NO_ODA),
        (replace(_ECASH, pan=_pan(47), rsa=Chain(ca="ca-unknown")),),
    ),
    "no-9F69": Entry(
        "e-cash that signs by version 00 though the terminal knows 01",
        _ends("declined: signature version", _NO_ODA),
        (replace(_ECASH, pan=_pan(48), gives_9f69=False),),
    ),
    "tearing": Entry(
        "e-cash taken away at a chosen byte or APDU, by default as the last record is answered",
        _ends("torn, approved when tapped again", _NO_ODA),
        (replace(_ECASH, pan=_pan(50)),),
        wrap=_leaving,
    ),
    "garbage": Entry(
        "noise in legal frames; noise=N for another run of it",
        _ends("declined: card error", "declined: card error"),
        (replace(_ECASH, pan=_pan(51)),),
        wrap=_garbage,
    ),
    "hostile": Entry(
        "an honest e-cash card but for one absurd answer; attack=NAME",
        _ends("declined: card error", "declined: card error"),
        (replace(_ECASH, pan=_pan(52)),),
        wrap=_hostile,
    ),
}


def names() -> list[str]:
    """The names of all cards, in the order of the catalogue."""
    return list(_ENTRIES)


def describe(name: str) -> str:
    """One line on the card `name`. Raises NoSuchCard."""
    return _entry(name).summary


def persons(name: str) -> tuple[Personalisation, ...]:
    """What the applications of a card are personalised with. Raises NoSuchCard."""
    return _entry(name).persons


def expected(name: str, profile: str) -> str:
    """How a tap should end in terminal profile "ecash" or "oda"; begins with "approved" etc."""
    return _entry(name).expected[profile]


def make(name: str, *, seed: int = 1, store: Path | None = None, **overrides: Any) -> Card:
    """A new card, or the one whose memory is in the file `store`.

    `overrides` are fields of Personalisation (of every application of the card, such as
    balance=150), the settings of the wrapped cards: at_byte, at_apdu, part, times (tearing),
    noise and rate (garbage), attack (hostile); and kind="B" for the same card as type B on the
    air. Raises NoSuchCard.
    """
    entry = _entry(name)
    settings = dict(overrides)
    kind = settings.pop("kind", "A")
    if kind not in ("A", "B"):
        raise NoSuchCard(f"card {name!r}: kind is A or B, not {kind!r}")
    persons_settings = {
        f.name: settings.pop(f.name) for f in fields(Personalisation) if f.name in settings
    }
    persons = [replace(person, **persons_settings) for person in entry.persons]
    phone = any(person.wants_owner for person in persons)
    card: Card = ChipCard(
        name, persons, seed=seed, blocked=entry.blocked, store=store, random_uid=phone
    )
    _identify(card, name, phone, kind)
    if entry.wrap:
        inner, card = card, entry.wrap(card, settings)
        card.identify_as(inner)
    if settings:
        raise NoSuchCard(f"card {name!r} has no setting {', '.join(sorted(settings))}")
    return card


def _entry(name: str) -> Entry:
    if name not in _ENTRIES:
        raise NoSuchCard(f"no bench card {name!r}; there are: {', '.join(_ENTRIES)}")
    return _ENTRIES[name]


def _identify(card: Card, name: str, phone: bool, kind: str) -> None:
    """Identity by name: 4-byte or 7-byte UID, an ATS of one of several makes; ATQB as type B."""
    digest = hashlib.sha256(name.encode("ascii")).digest()
    card.kind = kind
    if kind == "B":
        card.uid = digest[1:5]
        card.protocol_info = bytes.fromhex(_PROTOCOL_INFO[digest[8] % len(_PROTOCOL_INFO)])
    elif digest[0] % 2 and not phone:
        card.uid, card.sens_res = b"\x04" + digest[1:7], bytes.fromhex("0044")
    else:
        card.uid, card.sens_res = b"\x62" + digest[1:4], bytes.fromhex("0004")
    card.ats = bytes.fromhex(_ATS[digest[8] % len(_ATS)])


def capk_tlvs() -> list[bytes]:
    """The test CA keys that a unit must be given, each in the acquirers' download form.

    The key of "unknown-ca" is not among them.
    """
    out = [
        rsa_certificates.capk_download(UNIONPAY_RID, CA_INDEX[ca], keys.rsa(ca))
        for ca in ("ca-1152", "ca-1408", "ca-1984")
    ]
    out.append(
        rsa_certificates.capk_download(VISITOR_RID, CA_INDEX["ca-visitor"], keys.rsa("ca-visitor"))
    )
    out.append(
        sm2_certificates.capk_download(UNIONPAY_RID, CA_INDEX["ca-sm2"], keys.sm2_key("ca-sm2"))
    )
    return out


def revocations() -> list[tuple[bytes, int, bytes]]:
    """Revoked issuer certificates: (RID, CA index, certificate serial number, 3 bytes)."""
    return [(bytes.fromhex(UNIONPAY_RID), CA_INDEX["ca-1408"], bytes.fromhex(REVOKED_SERIAL))]
