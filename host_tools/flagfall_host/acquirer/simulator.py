"""An acquirer's host on TCP, for the bench and for tests: its own process, its own book.

It checks length, TPDU, MAC and fields, verifies each cryptogram as the issuer would, books each
payment once, and answers. `faults.MENU` is what it can do wrong.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flagfall_host.acquirer import de55, issuer
from flagfall_host.acquirer.book import TOLD, Book, Sale
from flagfall_host.acquirer.codec import MAX_FRAME, Message, decode, encode, mac_good, with_length
from flagfall_host.acquirer.errors import AcquirerError, FrameError
from flagfall_host.acquirer.faults import FAULTS, Faults
from flagfall_host.acquirer.keys import EVERY, KeysInMemory
from flagfall_host.acquirer.mac import Mac, under_key
from flagfall_host.acquirer.offers import Offers
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.working_keys import fresh_keys, load_master_key, wrap

__all__ = ["FAULTS", "Simulator", "run", "serve"]

APPROVED, INVALID, DECLINED, NOT_SIGNED_IN, DUPLICATE = "00", "12", "05", "77", "94"
FORMAT_ERROR, BUSY, MAC_ERROR, NO_MONEY = "30", "91", "A0", "51"
_SALE_FIELDS = ("2", "3", "4", "11", "22", "23", "25", "41", "42", "49", "55", "60")
_CARD_FIELDS = ("2", "14", "22", "23", "35", "55")  # not in an answer
_IDLE_S = 300.0


@dataclass
class Reaction:
    """What goes back on the connection, after how long, and whether it is dropped then."""

    data: bytes = b""
    delay_s: float = 0.0
    drop: bool = False


class Simulator:
    """Reacts to frames. `delay_s`: how long the host thinks about each."""

    def __init__(
        self,
        profile: Profile,
        book: Book,
        issuer_master: bytes,
        master_key: bytes,
        faults: Faults | None = None,
        delay_s: float = 0.0,
        offers: Offers | None = None,
    ) -> None:
        self._profile = profile
        self._offers = offers or Offers()
        self._book = book
        self._issuer_master = issuer_master
        self._tmk = master_key
        self._keys = KeysInMemory({EVERY: master_key})
        self._faults = faults or Faults()
        self._delay_s = delay_s
        self._macs: dict[str, Mac] = {}
        self._handlers: dict[str, Callable[[Message, str | None], dict[str, str]]] = {
            "0800": self._sign_in,
            "0820": self._echo,
            "0200": self._sale,
            "0320": self._batch_upload,
            "0500": self._settlement,
        }

    def flush(self) -> None:
        """What was booked is on the disk: answers may leave."""
        self._book.flush()

    def react(self, frame: bytes) -> Reaction:
        """To a frame without its length. Raises FrameError for bytes that are no message to us."""
        question = decode(self._profile, frame)
        if question.tpdu[:3] != self._profile.tpdu[:3]:
            raise FrameError("a frame for another host (TPDU)")
        fault = self._faults.next(question.mti)
        if fault == "hang-up":
            return Reaction(drop=True)
        if fault == "lose-request":
            return Reaction()
        fields = self._fields(question, fault)
        if fault == "busy-booked":
            fields["39"] = BUSY
        return self._spoiled(fault, self._packed(question, fields, fault))

    def _packed(self, question: Message, fields: dict[str, str], fault: str | None) -> bytes:
        mti = f"{int(question.mti) + 10:04d}"
        turned = question.tpdu[:1] + question.tpdu[3:5] + question.tpdu[1:3]
        mac = None
        if "64" in question.fields and fields["39"] != MAC_ERROR:
            mac = self._mac(question.fields.get("41", ""))
        if fault == "bad-mac" and mac is not None:
            mac = under_key(self._profile.mac, bytes(16))
        return encode(self._profile, Message(mti, fields, turned), mac)

    def _spoiled(self, fault: str | None, answer: bytes) -> Reaction:
        data = with_length(self._profile, answer)
        if fault == "lose-answer":
            return Reaction()
        if fault == "drop":
            return Reaction(drop=True)
        if fault == "cut":
            return Reaction(data[: len(data) // 2], drop=True)
        if fault == "garble":
            noise = bytes(b ^ 0x55 for b in answer)
            return Reaction(with_length(self._profile, noise))
        if fault == "late":
            return Reaction(data, 1.5 * self._profile.answer_s)
        if fault == "twice":
            return Reaction(data + data, self._delay_s)
        if fault == "stray":
            return Reaction(self._other_answer(answer) + data, self._delay_s)
        return Reaction(data, self._delay_s)

    def _other_answer(self, answer: bytes) -> bytes:
        other = decode(self._profile, answer)
        other.fields["11"] = f"{(int(other.fields['11']) + 1) % 1000000:06d}"
        other.fields.pop("64", None)
        other.fields["39"] = DECLINED
        return with_length(self._profile, encode(self._profile, other))

    # --- messages --------------------------------------------------------------------------

    def _fields(self, question: Message, fault: str | None) -> dict[str, str]:
        same: dict[str, str] = {
            n: question.fields[n] for n in ("11", "41", "42") if n in question.fields
        }
        if fault == "mac-error":
            return {**same, "39": MAC_ERROR}
        if fault == "busy":
            return {**same, "39": BUSY}
        handler = self._handlers.get(question.mti)
        if question.mti in ("0800", "0820") and len(question.fields.get("60", "")) >= 11:
            offered = self._offers.answer(self._profile, question)
            if offered is not None:
                known = self._book.keys(question.fields.get("41", ""))
                return {**same, **offered, "39": APPROVED if known else NOT_SIGNED_IN}
        if handler is None or len(same) != 3 or len(question.fields.get("60", "")) < 11:
            return {**same, "39": FORMAT_ERROR}
        return {**same, **handler(question, fault)}

    def _sign_in(self, question: Message, _fault: str | None) -> dict[str, str]:
        if question.fields["60"][8:11] != self._profile.network_code:
            return {"39": FORMAT_ERROR}
        keys = wrap(self._profile, self._tmk, fresh_keys(self._profile))
        batch = self._book.sign_in(question.fields["41"], keys)
        self._macs.pop(question.fields["41"], None)
        return {
            "37": f"{batch:012d}",
            "39": APPROVED,
            "60": f"00{batch:06d}{self._profile.network_code}",
            "62": keys.hex().upper(),
        }

    def _echo(self, question: Message, _fault: str | None) -> dict[str, str]:
        known = self._book.keys(question.fields["41"])
        return {"39": APPROVED if known else NOT_SIGNED_IN}

    def _mac(self, terminal_id: str) -> Mac | None:
        """Under the working keys of the terminal's newest sign-in; None before the first."""
        if terminal_id not in self._macs:
            wrapped = self._book.keys(terminal_id)
            if not wrapped:
                return None
            self._macs[terminal_id] = self._keys.mac(self._profile, terminal_id, wrapped)
        return self._macs[terminal_id]

    def _sale(self, question: Message, fault: str | None) -> dict[str, str]:
        sale = self._checked(question)
        if isinstance(sale, str):
            return {"39": sale}
        declined = self._book.declined(sale)
        if fault == "decline":
            declined = self._book.decline(sale, NO_MONEY)
        if declined:
            return {"4": question.fields["4"], "39": declined}
        code = {"new": APPROVED, "same": DUPLICATE}.get(self._book.add(sale), INVALID)
        return {"4": question.fields["4"], "37": sale.reference, "39": code}

    def _checked(self, question: Message) -> Sale | str:
        """The sale in a message that is right in every way, or the response code."""
        mac = self._mac(question.fields["41"])
        if mac is None:
            return NOT_SIGNED_IN
        if not mac_good(question, mac):
            return MAC_ERROR
        fields = question.fields
        if any(n not in fields for n in _SALE_FIELDS) or fields["49"] != self._profile.currency:
            return FORMAT_ERROR
        try:
            tags = de55.read(bytes.fromhex(fields["55"]))
        except FrameError:
            return FORMAT_ERROR
        amount = int(fields["4"])
        if any(tag not in tags for tag in de55.REQUIRED) or tags[0x9F02].hex() != fields["4"]:
            return FORMAT_ERROR
        online = fields["60"][:2] == self._profile.transit["type"]
        pan, psn = fields["2"], fields["23"][-2:]
        if not issuer.cryptogram_good(self._issuer_master, pan, psn, tags, online=online):
            return DECLINED
        return Sale(
            fields["41"],
            int(fields["60"][2:8]),
            int(fields["11"]),
            amount,
            pan[-4:],
            int.from_bytes(tags[0x9F36], "big"),
            tags[0x9F26],
        )

    def _settlement(self, question: Message, fault: str | None) -> dict[str, str]:
        totals = question.fields.get("48", "")
        if len(totals) != 62 or not totals.isdigit():
            return {"39": FORMAT_ERROR}
        verdict = {"unbalanced": 2, "error": 3}.get(fault or "")
        if verdict != 3:
            batch = int(question.fields["60"][2:8])
            count, amount = int(totals[12:15]), int(totals[:12])
            verdict = self._book.settle(question.fields["41"], batch, count, amount, verdict)
        return {"39": APPROVED, "48": f"{totals[:30]}{verdict}{totals[31:61]}1"}

    def _batch_upload(self, question: Message, _fault: str | None) -> dict[str, str]:
        batch = int(question.fields["60"][2:8])
        if "55" in question.fields:
            sale = self._checked(question)
            if isinstance(sale, str):
                return {"39": sale}
            return {"39": DUPLICATE if self._book.tell(sale) == "same" else APPROVED}
        count = question.fields.get("48", "")
        if not count.isdigit():
            return {"39": FORMAT_ERROR}
        verdict = self._book.end_batch(question.fields["41"], batch, int(count))
        return {"39": APPROVED if verdict == TOLD else FORMAT_ERROR}


async def serve(
    simulator: Simulator, profile: Profile, port: int, ready: Callable[[str, int], None]
) -> None:
    """Serve on 127.0.0.1 until cancelled; `ready(host, port)` is called when it listens."""

    loop = asyncio.get_running_loop()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await asyncio.wait_for(reader.readexactly(profile.length_bytes), _IDLE_S)
                size = int.from_bytes(head, "big")
                if not 1 <= size <= MAX_FRAME:
                    break
                frame = await asyncio.wait_for(reader.readexactly(size), _IDLE_S)
                reaction = simulator.react(frame)
                if reaction.delay_s:
                    loop.call_later(reaction.delay_s, _answer, simulator, writer, reaction)
                    continue
                _answer(simulator, writer, reaction)
                await writer.drain()
                if reaction.drop:
                    break
        except (EOFError, OSError, TimeoutError, AcquirerError):
            pass  # the terminal went, or sent what no terminal sends: hang up
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    address = server.sockets[0].getsockname()
    ready(address[0], address[1])
    async with server:
        await server.serve_forever()


def _answer(simulator: Simulator, writer: asyncio.StreamWriter, reaction: Reaction) -> None:
    """Durable first, as with the real one. Answers that are due at once share a commit."""
    simulator.flush()
    if reaction.data and not writer.is_closing():
        writer.write(reaction.data)


def _say_ready(host: str, port: int) -> None:
    sys.stdout.write(json.dumps({"host": host, "port": port}) + "\n")
    sys.stdout.flush()


def run(
    book: Path,
    port: int,
    issuer_keys: Path,
    profile_name: str = "unionpay",
    faults: Faults | None = None,
    *,
    answer_s: float | None = None,
    delay_s: float = 0.0,
    master_key: bytes | None = None,
    offers: Offers | None = None,
) -> None:
    """Serve until interrupted. Prints {"host", "port"} as one JSON line when it listens.

    `answer_s`: how long its terminals wait, which says how late "late" is; default: the profile's.
    """
    profile = Profile.load(profile_name).waiting(answer_s)
    simulator = Simulator(
        profile,
        Book(book),
        issuer.load_master_key(issuer_keys),
        master_key or load_master_key(),
        faults,
        delay_s,
        offers,
    )
    asyncio.run(serve(simulator, profile, port, _say_ready))
