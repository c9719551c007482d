"""An acquirer's host on TCP, for the bench and for tests: its own process, its own book.

It checks frame, TPDU, fields and MAC, verifies each TC as the issuer would, books each payment
once, and answers. Its faults are those of real hosts: questions lost, answers lost after booking,
connections dropped, keys forgotten.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from flagfall_host.acquirer import de55, issuer
from flagfall_host.acquirer.book import Book, Sale
from flagfall_host.acquirer.codec import MAX_FRAME, Message, decode, encode, mac_good, with_length
from flagfall_host.acquirer.errors import AcquirerError, FrameError
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.working_keys import fresh_keys, load_master_key, unwrap, wrap

APPROVED, INVALID, DECLINED, NOT_SIGNED_IN, DUPLICATE = "00", "12", "05", "77", "94"
FORMAT_ERROR, MAC_ERROR = "30", "A0"
FAULTS = ("lose-request", "lose-answer", "drop", "mac-error", "garble")
_SALE_FIELDS = ("2", "3", "4", "11", "22", "25", "41", "42", "49", "55", "60")
_IDLE_S = 300.0


class Simulator:
    """Answers messages. `faults`: name -> how many of the next sales it happens to."""

    def __init__(
        self,
        profile: Profile,
        book: Book,
        issuer_master: bytes,
        master_key: bytes,
        faults: dict[str, int] | None = None,
    ) -> None:
        self._profile = profile
        self._book = book
        self._issuer_master = issuer_master
        self._tmk = master_key
        self.faults = dict(faults or {})

    def _fault(self, name: str) -> bool:
        left = self.faults.get(name, 0)
        if left:
            self.faults[name] = left - 1
        return left > 0

    def answer(self, frame: bytes) -> bytes | None:
        """The frame to send back (without length), or None to stay silent. Raises EOFError to
        drop the connection, FrameError for bytes that are no message."""
        question = decode(self._profile, frame)
        is_sale = question.mti == "0200"
        if is_sale and self._fault("lose-request"):
            return None
        fields = self._fields(question)
        mak = self._mak(question) if is_sale and fields["39"] != MAC_ERROR else None
        answer = Message(f"{int(question.mti) + 10:04d}", fields, self._turned(question))
        out = encode(self._profile, answer, mak)
        if is_sale and self._fault("drop"):
            raise EOFError("fault: dropped")
        if is_sale and self._fault("lose-answer"):
            return None
        if is_sale and self._fault("garble"):
            return bytes(b ^ 0x55 for b in out)
        return out

    def _turned(self, question: Message) -> bytes:
        """The TPDU with destination and source swapped."""
        t = question.tpdu
        return t[:1] + t[3:5] + t[1:3]

    def _fields(self, question: Message) -> dict[str, str]:
        same = {n: question.fields[n] for n in ("11", "41", "42") if n in question.fields}
        do: dict[str, Callable[[Message], dict[str, str]]] = {
            "0800": self._sign_in,
            "0200": self._sale,
            "0500": self._settlement,
        }
        handler = do.get(question.mti)
        if handler is None or "41" not in question.fields:
            return {**same, "39": INVALID}
        return {**same, **handler(question)}

    def _sign_in(self, question: Message) -> dict[str, str]:
        keys = wrap(self._profile, self._tmk, fresh_keys(self._profile))
        batch = self._book.sign_in(question.fields["41"], keys)
        return {
            "37": f"{batch:012d}",
            "39": APPROVED,
            "60": f"00{batch:06d}{self._profile.network_code}",
            "62": keys.hex().upper(),
        }

    def _mak(self, question: Message) -> bytes | None:
        wrapped = self._book.keys(question.fields.get("41", ""))
        return unwrap(self._profile, self._tmk, wrapped)["mak"] if wrapped else None

    def _sale(self, question: Message) -> dict[str, str]:
        mak = self._mak(question)
        if mak is None:
            return {"39": NOT_SIGNED_IN}
        if self._fault("mac-error") or not mac_good(self._profile, question, mak):
            return {"39": MAC_ERROR}
        if any(n not in question.fields for n in _SALE_FIELDS):
            return {"39": FORMAT_ERROR}
        try:
            tags = de55.read(bytes.fromhex(question.fields["55"]))
        except FrameError:
            return {"39": FORMAT_ERROR}
        amount = int(question.fields["4"])
        if any(tag not in tags for tag in de55.REQUIRED):
            return {"39": FORMAT_ERROR}
        if int(tags[0x9F02].hex()) != amount:
            return {"39": FORMAT_ERROR}
        pan, psn = question.fields["2"], question.fields.get("23", "000")[-2:]
        if not issuer.cryptogram_good(self._issuer_master, pan, psn, tags):
            return {"39": DECLINED}
        batch, stan = int(question.fields["60"][2:8]), int(question.fields["11"])
        outcome = self._book.add(
            Sale(
                question.fields["41"],
                batch,
                stan,
                amount,
                pan[-4:],
                int.from_bytes(tags[0x9F36], "big"),
                tags[0x9F26],
            )
        )
        code = {"new": APPROVED, "same": DUPLICATE}.get(outcome, FORMAT_ERROR)
        return {"4": question.fields["4"], "37": f"{batch:06d}{stan:06d}", "39": code}

    def _settlement(self, question: Message) -> dict[str, str]:
        totals = question.fields.get("48", "")
        if len(totals) != 62 or not totals.isdigit():
            return {"39": FORMAT_ERROR}
        batch = int(question.fields["60"][2:8])
        verdict = self._book.settle(
            question.fields["41"], batch, int(totals[12:15]), int(totals[:12])
        )
        return {
            "37": f"{batch:012d}",
            "39": APPROVED,
            "48": f"{totals[:30]}{verdict}{totals[31:61]}1",
        }


async def _serve(simulator: Simulator, profile: Profile, port: int) -> None:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await asyncio.wait_for(
                    reader.readexactly(profile.length_bytes), _IDLE_S
                )
                size = int.from_bytes(head, "big")
                if not 1 <= size <= MAX_FRAME:
                    break
                frame = await asyncio.wait_for(reader.readexactly(size), _IDLE_S)
                answer = simulator.answer(frame)
                if answer is not None:
                    writer.write(with_length(profile, answer))
                    await writer.drain()
        except (EOFError, OSError, TimeoutError, AcquirerError):
            pass  # the terminal went, or sent what no terminal sends: hang up
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    address = server.sockets[0].getsockname()
    sys.stdout.write(json.dumps({"host": address[0], "port": address[1]}) + "\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


def run(
    book: Path,
    port: int,
    issuer_keys: Path,
    profile_name: str = "unionpay",
    faults: dict[str, int] | None = None,
) -> None:
    """Serve until interrupted. Prints {"host", "port"} as one JSON line when it listens."""
    profile = Profile.load(profile_name)
    simulator = Simulator(
        profile, Book(book), issuer.load_master_key(issuer_keys), load_master_key(), faults
    )
    asyncio.run(_serve(simulator, profile, port))
