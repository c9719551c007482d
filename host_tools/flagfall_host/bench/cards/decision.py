"""How a card answers GPO: approve offline, ask for online, or decline (JR/T 0025.12, 7)."""

from dataclasses import dataclass

from flagfall_host.bench.cards import status_words as sw
from flagfall_host.bench.cards.memory import CardMemory
from flagfall_host.bench.cards.personalisation import Personalisation
from flagfall_host.bench.cards.tlv import from_bcd

# First byte of the card verification results.
TC = 0x90
ARQC = 0xA0
AAC = 0x80

# Terminal transaction qualifiers (9F66), first byte, and bits of the second and the fourth.
_QPBOC = 0x20
_OFFLINE_ONLY = 0x08
_ONLINE_PIN = 0x04
_SIGNATURE = 0x02
_ODA_FOR_ONLINE = 0x01
_ONLINE_REQUIRED = 0x80
_CVM_REQUIRED = 0x40
_FDDA_V01 = 0x80


@dataclass(frozen=True)
class Decision:
    """`cryptogram` is TC, ARQC or AAC; `records` whether an AFL and a signature come with it.

    `ctq` is tag 9F6C; `version` that of the dynamic signature.
    """

    cryptogram: int
    records: bool
    ctq: bytes
    amount: int
    version: int


def decide(person: Personalisation, memory: CardMemory, terminal: dict[str, bytes]) -> Decision:
    """Weigh the terminal's data. Raises Refused when the card will not begin a transaction."""
    ttq = terminal["9F66"]
    if not ttq[0] & _QPBOC or memory.atc >= 0xFFFF:
        raise sw.Refused(sw.CONDITIONS_NOT_SATISFIED)
    try:
        amount = from_bcd(terminal["9F02"])
    except ValueError as error:
        raise sw.Refused(sw.WRONG_DATA) from error
    if person.wants_owner and not memory.owner_present:
        raise sw.Refused(sw.OWNER_WANTED)

    online, declined = bool(ttq[1] & _ONLINE_REQUIRED), False
    ctq = [0, 0x80 if person.wants_owner else 0]
    if ttq[1] & _CVM_REQUIRED and not person.wants_owner:
        if ttq[0] & _SIGNATURE:
            ctq[0] |= 0x40
        elif ttq[0] & _ONLINE_PIN:
            ctq[0] |= 0x80
            online = True
        else:
            declined = True
    if not _purse_can_pay(person, memory, terminal, amount):
        online = True
    cryptogram = ARQC if online else TC
    if declined or (online and ttq[0] & _OFFLINE_ONLY):
        cryptogram = AAC
    with_signature = person.oda and bool(ttq[0] & _ODA_FOR_ONLINE)
    records = cryptogram == TC or (cryptogram == ARQC and with_signature)
    version = 1 if ttq[3] & _FDDA_V01 and person.gives_9f69 else 0
    return Decision(cryptogram, records, bytes(ctq), amount, version)


def _purse_can_pay(
    person: Personalisation, memory: CardMemory, terminal: dict[str, bytes], amount: int
) -> bool:
    return (
        person.ecash
        and terminal["5F2A"].hex() == person.currency
        and amount <= person.transaction_cap
        and amount <= memory.balance
    )
