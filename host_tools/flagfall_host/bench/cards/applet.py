"""The payment application of a bench card: qPBOC e-cash, transit ODA, or Kernel 3.

The counter moves at GPO. The balance, the log and the copy of the last record change together,
when the last record of the AFL is read and not before. A new selection makes that copy readable
without GPO, which is how a terminal learns what became of a card torn from the field.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from flagfall_host.bench.cards import (
    cryptogram,
    decision,
    keys,
    layout,
    rsa_certificates,
    sm2_certificates,
)
from flagfall_host.bench.cards import status_words as sw
from flagfall_host.bench.cards.memory import CardMemory
from flagfall_host.bench.cards.personalisation import Chain, Personalisation
from flagfall_host.bench.cards.tlv import bcd, dol, length, split_by_dol, template, tlv

# Cryptogram information data (9F27), which qPBOC cards leave out and Kernel 3 cards do not.
_CID = {decision.TC: b"\x40", decision.ARQC: b"\x80", decision.AAC: b"\x00"}

_LOG_FORMAT = ("9A", 3), ("9F02", 6), ("5F2A", 2), ("9F36", 2), ("9C", 1)


@dataclass
class _Transaction:
    """What GPO has fixed: the records as they will be read, and what the last one does."""

    records: dict[int, bytes]  # by SFI * 256 + record number
    last: int
    debit: int
    log_entry: bytes
    committed: bool = False


class Applet:
    """One application. Each method answers data or raises Refused with a status word.

    `changed` is called when the memory has changed, before the answer goes out.
    """

    def __init__(
        self, person: Personalisation, memory: CardMemory, seed: int, changed: Callable[[], None]
    ) -> None:
        self.person = person
        self.memory = memory
        self._seed = seed
        self._changed = changed
        self._transaction: _Transaction | None = None
        self._signed: dict[str, tuple[dict[str, bytes], layout.Layout]] = {}
        master = keys.issuer_keys()
        self._ac_key = cryptogram.card_key(master["test_imk_ac"], person.pan, person.psn)
        self._mac_key = cryptogram.card_key(master["test_imk_mac"], person.pan, person.psn)

    @property
    def aid(self) -> bytes:
        return bytes.fromhex(self.person.aid)

    def deselect(self) -> None:
        """Forget the transaction: the field went down or an application was selected."""
        self._transaction = None

    def fci(self) -> bytes:
        """File control information, the answer to SELECT."""
        person = self.person
        issuer_data = tlv("9F4D", bytes(person.log))
        if person.oda and not person.kernel3:
            issuer_data += tlv("DF61", b"\x40")
        return template(
            "6F",
            (
                tlv("84", self.aid),
                template(
                    "A5",
                    (
                        tlv("50", person.label.encode("ascii")),
                        tlv("87", bytes([person.priority])),
                        tlv("9F38", dol(*person.pdol)),
                        tlv("5F2D", b"zhen"),
                        tlv("9F11", b"\x01"),
                        tlv("9F12", person.label.encode("ascii")),
                        tlv("BF0C", issuer_data),
                    ),
                ),
            ),
        )

    def directory_entry(self) -> bytes:
        """The application template in the PPSE."""
        label = self.person.label.encode("ascii")
        entry = tlv("4F", self.aid) + tlv("50", label) + tlv("87", bytes([self.person.priority]))
        if self.person.kernel_id:
            entry += tlv("9F2A", bytes.fromhex(self.person.kernel_id))
        return tlv("61", entry)

    # --- GET PROCESSING OPTIONS ---

    def processing_options(self, data: bytes) -> bytes:
        """Begin a transaction. `data` is the command's data, tag 83 first."""
        if self._transaction is not None:
            raise sw.Refused(sw.CONDITIONS_NOT_SATISFIED)
        head = 3 if data[1:2] == b"\x81" else 2
        values = data[head:]
        if data[:head] != b"\x83" + length(len(values)):
            raise sw.Refused(sw.WRONG_DATA)
        try:
            terminal = split_by_dol(self.person.pdol, values)
        except ValueError as error:
            raise sw.Refused(sw.WRONG_LENGTH) from error
        choice = decision.decide(self.person, self.memory, terminal)
        self.memory.atc += 1
        self.memory.owner_present = False
        answer = self._answer(choice, terminal)
        self._changed()
        return template("77", answer)

    def _answer(self, choice: decision.Decision, terminal: dict[str, bytes]) -> list[bytes]:
        person, memory = self.person, self.memory
        chain = self._chain(terminal) if choice.records else None
        plan: layout.Layout = ()
        if chain:
            if chain.icc not in self._signed:
                self._signed[chain.icc] = person.signed(chain)
            signed, plan = self._signed[chain.icc]
            objects = dict(signed)
        else:
            objects = person.objects()
        debit = choice.amount if choice.cryptogram == decision.TC else 0
        shown = memory.balance - (debit if person.balance_shown == "after" else 0)
        iad = self._issuer_data(choice, shown)
        answer = {"82": person.aip}
        if chain:
            answer["94"] = layout.afl(plan)
        answer["9F36"] = memory.atc.to_bytes(2, "big")
        answer["9F26"] = self._cryptogram(terminal, iad)
        answer["9F10"] = iad
        answer["57"] = objects["57"]
        answer["5F34"] = objects["5F34"]
        answer["9F6C"] = choice.ctq
        if person.kernel3:
            answer["9F27"] = _CID[choice.cryptogram]
        if person.ecash:
            objects["9F5D"] = bcd(shown, 12)
        if chain:
            related = self._card_authentication_data(choice)
            objects["9F4B"] = self._signature(chain, choice, terminal, related)
            self._transaction = self._records(plan, objects, related, debit, terminal)
        else:
            answer["9F63"] = bytes(16)
            answer["5F20"] = objects["5F20"]
            self._transaction = _Transaction({}, 0, 0, b"")
        in_records = {tag for group in plan for record in group.records for tag in record}
        for tag in ("9F4B", "9F5D"):
            if tag in objects and tag not in in_records:
                answer[tag] = objects[tag]
        return [tlv(tag, value) for tag, value in answer.items()]

    def _chain(self, terminal: dict[str, bytes]) -> Chain:
        """SM2 if the terminal offers it (DF69 is 01) or the card has nothing else."""
        person = self.person
        if person.sm2 and (terminal.get("DF69") == b"\x01" or not person.rsa):
            return person.sm2
        if person.rsa:
            return person.rsa
        raise sw.Refused(sw.CONDITIONS_NOT_SATISFIED)

    def _issuer_data(self, choice: decision.Decision, balance: int) -> bytes:
        """Tag 9F10; with the balance and its MAC if the card is a purse."""
        if self.person.kernel3:
            return bytes.fromhex("06011203") + bytes([choice.cryptogram, 0, 0])
        iad = bytes.fromhex("07010103") + bytes([choice.cryptogram, 0, 0, 1])
        if self.person.ecash:
            discretionary = b"\x01" + bcd(balance, 10)
            key = cryptogram.session_key(self._mac_key, self.memory.atc)
            code = cryptogram.mac(key, self.memory.atc.to_bytes(2, "big") + discretionary)
            iad += b"\x0a" + discretionary + code[:4]
        return iad

    def _cryptogram(self, terminal: dict[str, bytes], iad: bytes) -> bytes:
        atc, aip = self.memory.atc, self.person.aip
        if self.person.kernel3:
            key = cryptogram.common_session_key(self._ac_key, atc)
            return cryptogram.cvn18(key, terminal, aip, atc, iad)
        key = cryptogram.session_key(self._ac_key, atc)
        return cryptogram.cvn01(key, terminal, aip, atc, iad[3:7])

    def _card_authentication_data(self, choice: decision.Decision) -> bytes:
        """Tag 9F69: version, the card's unpredictable number, CTQ, one byte. Empty for v00."""
        if choice.version == 0:
            return b""
        source = f"{self._seed} {self.person.pan} {self.memory.atc}".encode("ascii")
        return b"\x01" + hashlib.sha256(source).digest()[:4] + choice.ctq + b"\x00"

    def _signature(
        self, chain: Chain, choice: decision.Decision, terminal: dict[str, bytes], related: bytes
    ) -> bytes:
        """Tag 9F4B; what follows 9F37 in the hash only from version 01 on."""
        person = self.person
        dynamic = b"\x02" + self.memory.atc.to_bytes(2, "big")
        appended = terminal["9F37"]
        if related:
            appended += terminal["9F02"] + terminal["5F2A"] + related
        if person.spoils_signature == "hash":
            appended = bytes(b ^ 0xFF for b in appended)
        if chain is person.sm2:
            signature = sm2_certificates.signed_dynamic_data(
                keys.sm2_key(chain.icc), dynamic, appended
            )
        else:
            approved = choice.cryptogram == decision.TC
            form = person.form_approved if approved else person.form_online
            signature = rsa_certificates.signed_dynamic_data(
                keys.rsa(chain.icc), form, dynamic, appended
            )
        if person.spoils_signature == "block":
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        return signature

    def _records(
        self,
        plan: layout.Layout,
        objects: dict[str, bytes],
        related: bytes,
        debit: int,
        terminal: dict[str, bytes],
    ) -> _Transaction:
        tags = {
            group.sfi << 8 | group.first + i: record
            for group in plan
            for i, record in enumerate(group.records)
        }
        parts = {at: [tlv(t, objects[t]) for t in r if t in objects] for at, r in tags.items()}
        last = list(tags)[-1]
        if related:
            parts[last].append(tlv("9F69", related))
        records = {at: template("70", part) for at, part in parts.items()}
        values = {**terminal, "9F36": self.memory.atc.to_bytes(2, "big")}
        log_entry = b"".join(values[tag] for tag, _ in _LOG_FORMAT)
        return _Transaction(records, last, debit, log_entry)

    # --- READ RECORD and GET DATA ---

    def record(self, sfi: int, number: int, fits: Callable[[bytes], None]) -> bytes:
        """One record. `fits` refuses a wrong Le before anything is committed."""
        memory, at = self.memory, sfi << 8 | number
        if sfi == self.person.log[0]:
            if not 1 <= number <= len(memory.log):
                raise sw.Refused(sw.RECORD_NOT_FOUND)
            entry = bytes.fromhex(memory.log[number - 1])
            fits(entry)
            return entry
        transaction = self._transaction
        if transaction is None:
            if not memory.last_record or at != memory.last_record_at:
                raise sw.Refused(sw.CONDITIONS_NOT_SATISFIED)
            record = bytes.fromhex(memory.last_record)
            fits(record)
            return record
        if at not in transaction.records:
            raise sw.Refused(sw.RECORD_NOT_FOUND)
        record = transaction.records[at]
        fits(record)
        if at == transaction.last and not transaction.committed:
            memory.commit(transaction.debit, transaction.log_entry, at, record)
            transaction.committed = True
            self._changed()
        return record

    def data_object(self, tag: str) -> bytes:
        """GET DATA; `tag` in hex."""
        person, memory = self.person, self.memory
        values = {
            "9F36": memory.atc.to_bytes(2, "big"),
            "9F13": bytes(2),
            "9F17": b"\x03",
            "9F4F": dol(*_LOG_FORMAT),
            "9F51": bytes.fromhex(person.currency),
        }
        if person.ecash:
            values["9F79"] = values["9F5D"] = bcd(memory.balance, 12)
            values["9F77"] = bcd(person.balance_cap, 12)
            values["9F78"] = bcd(person.transaction_cap, 12)
            values["9F6D"] = bcd(person.reset_threshold, 12)
        if tag not in values:
            raise sw.Refused(sw.DATA_NOT_FOUND)
        return tlv(tag, values[tag])
