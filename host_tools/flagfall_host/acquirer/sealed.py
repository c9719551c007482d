"""Opening sealed card data: the one place, used only where the acquirer's message is made.

docs/formats.md sections 1 and 4. What is opened here is never stored, logged or shown.
"""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import rsa
from flagfall.emv.tlv import TlvError, parse
from flagfall.journal import schema as journal
from flagfall.journal.record import parse as parse_record
from sqlalchemy import Connection, select

from flagfall_host.acquirer.errors import KeyRecordMissing, SealedError, WrongFleetKey
from flagfall_host.depot.sealed_data import SealedData, SealedDataError, fleet_key_id
from flagfall_host.ledger.ledger import Ledger
from flagfall_host.ledger.money import Key
from flagfall_host.ledger.tables import KEYS, RECORDS


class CardData:
    """The tags of one payment, opened. Its text shows no content."""

    def __init__(self, tags: dict[int, bytes]) -> None:
        self._tags = tags

    def __repr__(self) -> str:
        return f"CardData({len(self._tags)} tags)"

    def get(self, tag: int) -> bytes | None:
        return self._tags.get(tag)

    @property
    def pan(self) -> str:
        value = self._tags.get(0x5A)
        if value is not None:
            return value.hex().rstrip("f")
        return self.track2.split("D")[0]

    @property
    def track2(self) -> str:
        """Track 2 equivalent data with D as separator, padding taken off; "" if absent."""
        return self._tags.get(0x57, b"").hex().upper().rstrip("F")

    @property
    def expiry(self) -> str:
        """YYMM, or "" if the card gave none."""
        value = self._tags.get(0x5F24)
        if value is not None:
            return value.hex()[:4]
        return self.track2.partition("D")[2][:4]

    @property
    def psn(self) -> str:
        return self._tags.get(0x5F34, b"\x00").hex().zfill(3)


class Opener:
    """Opens payments of a ledger with the fleet's private key."""

    def __init__(self, ledger: Ledger, private_key: rsa.RSAPrivateKey) -> None:
        self._ledger = ledger
        self._private_key = private_key
        self._key_id = fleet_key_id(private_key)

    def open(self, unit_id: str, epoch: int, seq: int) -> CardData:
        """The card data of an approved payment. Raises SealedError, WrongFleetKey."""
        found = self.open_all([(unit_id, epoch, seq)])[unit_id, epoch, seq]
        if isinstance(found, SealedError):
            raise found
        return found

    def open_all(self, keys: Sequence[Key]) -> dict[Key, CardData | SealedError]:
        """The card data of each payment, or why there are none. Raises WrongFleetKey.

        A torn payment that was resolved after a restart of the unit has its card's data in the
        record of the torn tap: what is missing here is taken from there.
        """
        out: dict[Key, CardData | SealedError] = {}
        with self._ledger.reading() as db:
            for unit_id in sorted({key[0] for key in keys}):
                unit = _Unit(db, unit_id, self._private_key, self._key_id)
                mine = [key for key in keys if key[0] == unit_id]
                raws = unit.raws([seq for _, _, seq in mine])
                for key in mine:
                    try:
                        out[key] = unit.card(key, raws.get(key))
                    except SealedError as e:
                        out[key] = e
        return out


class _Unit:
    """One unit's sealed payments in one transaction: its KEY records are read once."""

    def __init__(
        self, db: Connection, unit_id: str, private_key: rsa.RSAPrivateKey, key_id: bytes
    ) -> None:
        self._db, self._id, self._key_id = db, unit_id, key_id
        rows = db.execute(
            select(KEYS.c.epoch, KEYS.c.seq, KEYS.c.fleet_key_id, RECORDS.c.raw)
            .join_from(
                KEYS,
                RECORDS,
                (RECORDS.c.unit_id == KEYS.c.unit_id)
                & (RECORDS.c.seq == KEYS.c.seq)
                & (RECORDS.c.epoch == KEYS.c.epoch),
            )
            .where(KEYS.c.unit_id == unit_id)
            .order_by(KEYS.c.epoch, KEYS.c.seq)
        ).all()
        self._fleet_keys = [(row.epoch, bytes(row.fleet_key_id)) for row in rows]
        self._sealed = SealedData(private_key)
        self._sealed.learn(parse_record(bytes(row.raw)) for row in rows)

    def raws(self, seqs: list[int]) -> dict[Key, bytes]:
        """The records under these seqs, of every epoch."""
        query = select(RECORDS.c.epoch, RECORDS.c.seq, RECORDS.c.raw).where(
            RECORDS.c.unit_id == self._id, RECORDS.c.seq.in_(seqs)
        )
        return {(self._id, epoch, seq): bytes(raw) for epoch, seq, raw in self._db.execute(query)}

    def card(self, key: Key, raw: bytes | None) -> CardData:
        unit_id, epoch, seq = key
        where = f"unit {unit_id}, payment {seq} of epoch {epoch}"
        if raw is None:
            raise SealedError(f"{where}: not in the ledger")
        fields = journal.unpack(journal.PAYMENT, parse_record(raw).body)
        tags: dict[int, bytes] = {}
        if fields["torn_seq"]:
            tags.update(self._torn(fields["torn_seq"], epoch, where))
        tags.update(self._open(epoch, fields["sealed"], where))
        if not tags:
            raise SealedError(f"{where}: holds no card data")
        return CardData(tags)

    def _torn(self, seq: int, epoch: int, where: str) -> dict[int, bytes]:
        torn = self._db.execute(
            select(RECORDS.c.raw, RECORDS.c.epoch)
            .where(
                RECORDS.c.unit_id == self._id,
                RECORDS.c.seq == seq,
                RECORDS.c.type == journal.PAYMENT,
                RECORDS.c.epoch <= epoch,
            )
            .order_by(RECORDS.c.epoch.desc())
        ).first()
        if torn is None:
            return {}
        body = parse_record(bytes(torn.raw)).body
        return self._open(torn.epoch, journal.unpack(journal.PAYMENT, body)["sealed"], where)

    def _open(self, epoch: int, sealed: bytes, where: str) -> dict[int, bytes]:
        if not sealed:
            return {}
        self._check_key(epoch, where)
        try:
            return dict(parse(self._sealed.open(epoch, sealed)))
        except SealedDataError as e:
            raise SealedError(f"{where}: {e}") from None
        except TlvError:
            raise SealedError(f"{where}: its sealed data are no card data") from None

    def _check_key(self, epoch: int, where: str) -> None:
        """Raises KeyRecordMissing, WrongFleetKey unless the ledger has a data key for us."""
        before = [key_id for of, key_id in self._fleet_keys if of <= epoch]
        if not before:
            raise KeyRecordMissing(f"{where}: no KEY record of its epoch: pull the unit again")
        if before[-1] != self._key_id:
            raise WrongFleetKey(
                f"{where}: sealed to fleet key {before[-1].hex()}, and this is "
                f"{self._key_id.hex()}. Nothing was changed: give the fleet folder of that time"
            )
