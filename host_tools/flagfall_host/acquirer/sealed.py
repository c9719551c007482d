"""Opening sealed card data: the one place, used only where the acquirer's message is made.

docs/formats.md sections 1 and 4. What is opened here is never stored, logged or shown.
"""

from cryptography.hazmat.primitives.asymmetric import rsa
from flagfall.emv.tlv import TlvError, parse
from flagfall.journal import schema as journal
from flagfall.journal.record import parse as parse_record
from sqlalchemy import select

from flagfall_host.acquirer.errors import KeyRecordMissing, SealedError, WrongFleetKey
from flagfall_host.depot.sealed_data import SealedData, SealedDataError, fleet_key_id
from flagfall_host.ledger.ledger import Ledger
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
        self._units: dict[str, SealedData] = {}

    def open(self, unit_id: str, epoch: int, seq: int) -> CardData:
        """The card data of an approved payment. Raises SealedError.

        A torn payment that was resolved after a restart of the unit has its card's data in the
        record of the torn tap: what is missing here is taken from there.
        """
        where = f"unit {unit_id}, payment {seq} of epoch {epoch}"
        with self._ledger.reading() as db:
            raw = db.execute(
                select(RECORDS.c.raw).where(
                    RECORDS.c.unit_id == unit_id,
                    RECORDS.c.epoch == epoch,
                    RECORDS.c.seq == seq,
                )
            ).scalar()
            if raw is None:
                raise SealedError(f"{where}: not in the ledger")
            fields = journal.unpack(journal.PAYMENT, parse_record(bytes(raw)).body)
            tags: dict[int, bytes] = {}
            if fields["torn_seq"]:
                torn = db.execute(
                    select(RECORDS.c.raw, RECORDS.c.epoch)
                    .where(
                        RECORDS.c.unit_id == unit_id,
                        RECORDS.c.seq == fields["torn_seq"],
                        RECORDS.c.type == journal.PAYMENT,
                        RECORDS.c.epoch <= epoch,
                    )
                    .order_by(RECORDS.c.epoch.desc())
                ).first()
                if torn is not None:
                    body = parse_record(bytes(torn.raw)).body
                    sealed = journal.unpack(journal.PAYMENT, body)["sealed"]
                    tags.update(self._open(unit_id, torn.epoch, sealed, where))
        tags.update(self._open(unit_id, epoch, fields["sealed"], where))
        if not tags:
            raise SealedError(f"{where}: holds no card data")
        return CardData(tags)

    def _open(self, unit_id: str, epoch: int, sealed: bytes, where: str) -> dict[int, bytes]:
        if not sealed:
            return {}
        self._check_key(unit_id, epoch, where)
        try:
            return dict(parse(self._of_unit(unit_id).open(epoch, sealed)))
        except SealedDataError as e:
            raise SealedError(f"{where}: {e}") from None
        except TlvError:
            raise SealedError(f"{where}: its sealed data are no card data") from None

    def _check_key(self, unit_id: str, epoch: int, where: str) -> None:
        """Raises KeyRecordMissing, WrongFleetKey unless the ledger has a data key for us."""
        with self._ledger.reading() as db:
            row = db.execute(
                select(KEYS.c.fleet_key_id)
                .where(KEYS.c.unit_id == unit_id, KEYS.c.epoch <= epoch)
                .order_by(KEYS.c.epoch.desc(), KEYS.c.seq.desc())
            ).first()
        if row is None:
            raise KeyRecordMissing(f"{where}: no KEY record of its epoch: pull the unit again")
        if bytes(row.fleet_key_id) != self._key_id:
            raise WrongFleetKey(
                f"{where}: sealed to fleet key {row.fleet_key_id.hex()}, and this is "
                f"{self._key_id.hex()}. Nothing was changed: give the fleet folder of that time"
            )

    def _of_unit(self, unit_id: str) -> SealedData:
        if unit_id not in self._units:
            with self._ledger.reading() as db:
                rows = db.execute(
                    select(RECORDS.c.raw)
                    .where(RECORDS.c.unit_id == unit_id, RECORDS.c.type == journal.KEY)
                    .order_by(RECORDS.c.seq)
                ).all()
            sealed = SealedData(self._private_key)
            sealed.learn(parse_record(bytes(row.raw)) for row in rows)
            self._units[unit_id] = sealed
        return self._units[unit_id]
