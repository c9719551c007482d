"""The messages that a terminal sends: sign-in, echo, offline sales, settlement, batch upload."""

from collections.abc import Callable
from dataclasses import dataclass

from flagfall.journal.schema import TRANSIT

from flagfall_host.acquirer import de55
from flagfall_host.acquirer.batches import MOST_PAYMENTS
from flagfall_host.acquirer.codec import Message
from flagfall_host.acquirer.errors import FrameError
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.sealed import CardData

SIGN_IN, ECHO, SALE, SETTLEMENT, BATCH_UPLOAD = "0800", "0820", "0200", "0500", "0320"
_ECHO_CODE, _SETTLE_CODE, _END_UNBALANCED = "301", "201", "202"  # DE60.3


@dataclass(frozen=True)
class Terminal:
    """Who speaks: terminal id (8 characters) and merchant id (15), as the acquirer gave them."""

    terminal_id: str
    merchant_id: str

    def __post_init__(self) -> None:
        if len(self.terminal_id) != 8 or len(self.merchant_id) != 15:
            raise ValueError("a terminal id has 8 characters, a merchant id 15")
        if not (self.terminal_id + self.merchant_id).isascii():
            raise ValueError("terminal and merchant ids are ASCII")


def sign_in(profile: Profile, terminal: Terminal, stan: int, batch: int) -> Message:
    """0800: working keys and batch number, please."""
    serial = f"{profile.serial}{terminal.terminal_id:0>16}".encode()
    return Message(
        SIGN_IN,
        {
            **_from(terminal, stan),
            "60": f"00{batch:06d}{profile.network_code}",
            "62": serial.hex().upper(),
            "63": profile.operator,
        },
    )


def echo(profile: Profile, terminal: Terminal, stan: int, batch: int) -> Message:
    """0820: is the host there?"""
    return Message(ECHO, {**_from(terminal, stan), "60": f"00{batch:06d}{_ECHO_CODE}"})


def offline_sale(
    profile: Profile,
    terminal: Terminal,
    stan: int,
    batch: int,
    amount: int,
    card: CardData,
    kind: int,
    mti: str = SALE,
) -> Message:
    """The upload of a payment that was taken offline, by 0200 or in a batch upload by 0320.

    `amount` in minor units, `kind` the PAYMENT record's profile (e-cash or transit). Raises
    FrameError for card data that make no such message.
    """
    sale = profile.transit if kind == TRANSIT else profile.sale
    signed = card.get(0x9F02)
    if signed is None or signed.hex() != f"{amount:012d}":
        raise FrameError("the amount in the record is not the one that the card has signed")
    if not 12 <= len(card.pan) <= 19 or not card.pan.isdigit():
        raise FrameError("the card data hold no card number")
    chip = de55.build(
        card, bytes.fromhex(sale["response_code"]), bytes.fromhex(sale["authorisation"])
    )
    fields = {
        "2": card.pan,
        "3": sale["processing"],
        "4": f"{amount:012d}",
        **_from(terminal, stan),
        "22": sale["entry_mode"],
        "23": card.psn,
        "25": sale["condition"],
        "49": profile.currency,
        "55": chip.hex().upper(),
        "60": f"{sale['type']}{batch:06d}{sale['network_code']}{sale['capability']}",
    }
    if sale["organisation"]:
        fields["63"] = sale["organisation"]
    if card.expiry:
        fields["14"] = card.expiry
    if sale["track2"] and card.track2:
        fields["35"] = card.track2
    return Message(mti, fields)


def settlement(
    profile: Profile, terminal: Terminal, stan: int, batch: int, count: int, amount: int
) -> Message:
    """Totals of a batch: domestic debit amount and count; no credits, nothing foreign."""
    if count > MOST_PAYMENTS:
        raise FrameError(f"a settlement counts up to {MOST_PAYMENTS} payments, not {count}")
    domestic = f"{amount:012d}{count:03d}{0:012d}{0:03d}0"
    foreign = f"{0:012d}{0:03d}{0:012d}{0:03d}0"
    return Message(
        SETTLEMENT,
        {
            **_from(terminal, stan),
            "48": domestic + foreign,
            "49": profile.currency,
            "60": f"00{batch:06d}{_SETTLE_CODE}",
            "63": profile.operator,
        },
    )


def batch_end(profile: Profile, terminal: Terminal, stan: int, batch: int, count: int) -> Message:
    """The end of a batch upload: how many payments it held."""
    return Message(
        BATCH_UPLOAD,
        {
            **_from(terminal, stan),
            "48": f"{count:04d}",
            "60": f"00{batch:06d}{_END_UNBALANCED}",
            "63": profile.operator,
        },
    )


DownloadQuestion = Callable[[Profile, Terminal, int, int], Message]


def download(code: str, data: bytes = b"", *, status: bool = False) -> DownloadQuestion:
    """A download's question with DE60.3 `code` and DE62 `data`: 0800, a query (`status`) 0820."""

    def made(profile: Profile, terminal: Terminal, stan: int, batch: int) -> Message:
        fields = {**_from(terminal, stan), "60": f"00{batch:06d}{code}"}
        if data:
            fields["62"] = data.hex().upper()
        return Message(ECHO if status else SIGN_IN, fields)

    return made


def _from(terminal: Terminal, stan: int) -> dict[str, str]:
    return {
        "11": f"{stan:06d}",
        "41": terminal.terminal_id,
        "42": terminal.merchant_id,
    }
