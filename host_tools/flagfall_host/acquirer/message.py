"""The messages that a terminal sends: sign-in 0800, offline sale 0200, settlement 0500."""

from dataclasses import dataclass

from flagfall_host.acquirer import de55
from flagfall_host.acquirer.codec import Message
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.sealed import CardData

SIGN_IN, SALE, SETTLEMENT = "0800", "0200", "0500"


@dataclass(frozen=True)
class Terminal:
    """Who speaks: terminal id (8 characters) and merchant id (15), as the acquirer gave them."""

    terminal_id: str
    merchant_id: str

    def __post_init__(self) -> None:
        if len(self.terminal_id) != 8 or len(self.merchant_id) != 15:
            raise ValueError("a terminal id has 8 characters, a merchant id 15")


def sign_in(profile: Profile, terminal: Terminal, stan: int, batch: int) -> Message:
    serial = f"{profile.serial}{terminal.terminal_id:0>16}".encode()
    return Message(
        SIGN_IN,
        {
            "11": f"{stan:06d}",
            "41": terminal.terminal_id,
            "42": terminal.merchant_id,
            "60": f"00{batch:06d}{profile.network_code}",
            "62": serial.hex().upper(),
            "63": profile.operator,
        },
    )


def offline_sale(
    profile: Profile, terminal: Terminal, stan: int, batch: int, amount: int, card: CardData
) -> Message:
    """The upload of a payment that the card approved offline. `amount` in minor units."""
    sale = profile.sale
    fields = {
        "2": card.pan,
        "3": sale["processing"],
        "4": f"{amount:012d}",
        "11": f"{stan:06d}",
        "22": sale["entry_mode"],
        "23": card.psn,
        "25": sale["condition"],
        "41": terminal.terminal_id,
        "42": terminal.merchant_id,
        "49": profile.currency,
        "55": de55.build(card, bytes.fromhex(sale["response_code"])).hex().upper(),
        "60": f"{sale['type']}{batch:06d}{sale['network_code']}{sale['capability']}",
        "63": sale["organisation"],
    }
    if card.expiry:
        fields["14"] = card.expiry
    if sale["track2"] and card.track2:
        fields["35"] = card.track2
    return Message(SALE, fields)


def settlement(
    profile: Profile, terminal: Terminal, stan: int, batch: int, count: int, amount: int
) -> Message:
    """Totals of a batch: domestic debit amount and count; no credits, nothing foreign."""
    domestic = f"{amount:012d}{count:03d}{0:012d}{0:03d}0"
    foreign = f"{0:012d}{0:03d}{0:012d}{0:03d}0"
    return Message(
        SETTLEMENT,
        {
            "11": f"{stan:06d}",
            "41": terminal.terminal_id,
            "42": terminal.merchant_id,
            "48": domestic + foreign,
            "49": profile.currency,
            "60": f"00{batch:06d}201",
            "63": profile.operator,
        },
    )
