"""Up to where a unit's records are complete: what the next pull starts from and a receipt says."""

from typing import Any

import sqlalchemy as sa
from flagfall.journal.record import Record

from flagfall_host.ledger.database import insert
from flagfall_host.ledger.standing import Standing, standing_of
from flagfall_host.ledger.tables import DAMAGES, RECORDS, UNITS
from flagfall_host.ledger.verification import link_of

_STEP = 1000  # rows read at once while moving on over what was booked out of order


class Frontier:
    """The `units` row of one unit, locked for this transaction and moved on in it."""

    def __init__(self, connection: sa.Connection, unit_id: str) -> None:
        self._connection = connection
        self._unit_id = unit_id
        empty = {
            "unit_id": unit_id,
            "first_epoch": 0,
            "upto_seq": 0,
            "receipt_epoch": 0,
            "receipt_seq": 0,
            "receipt_link": b"",
            "max_epoch": 0,
            "max_seq": 0,
        }
        select = sa.select(UNITS).where(UNITS.c.unit_id == unit_id).with_for_update()
        row = connection.execute(select).mappings().first()
        if row is None:
            connection.execute(insert(connection, UNITS).on_conflict_do_nothing(), empty)
            row = connection.execute(select).mappings().one()
        self._row: dict[str, Any] = dict(row)

    @property
    def first_epoch(self) -> int:
        """The epoch in which the unit's present life began; 0 if not known."""
        return self._row["first_epoch"]

    @property
    def max_epoch(self) -> int:
        return self._row["max_epoch"]

    @property
    def max_seq(self) -> int:
        """The newest seq booked in this life."""
        return self._row["max_seq"]

    def standing(self) -> Standing:
        """Where the unit stands once this transaction is committed."""
        return standing_of(self._row)

    def is_new_life(self, first: Record) -> bool:
        """Whether seq 1 in this record's epoch means that the unit was provisioned anew."""
        return self.max_seq > 0 and first.epoch > self.max_epoch

    def begin_life(self, epoch: int) -> None:
        """Count from seq 1 again: what was booked before stays booked."""
        self._row.update(
            first_epoch=epoch,
            upto_seq=0,
            receipt_epoch=0,
            receipt_seq=0,
            receipt_link=b"",
            max_epoch=max(epoch, self.max_epoch),
            max_seq=0,
        )
        self._save()

    def booked(self, fresh: list[Record]) -> None:
        """Move on after `fresh` records were stored."""
        row = self._row
        current = [r for r in fresh if r.epoch >= row["first_epoch"]]
        if not current:
            return
        highest = max(r.seq for r in current)
        for record in sorted(current, key=lambda r: r.seq):
            if record.seq == row["upto_seq"] + 1:
                self._pass(record.seq, record.epoch, record.raw)
        row["max_seq"] = max(row["max_seq"], highest)
        row["max_epoch"] = max(row["max_epoch"], max(r.epoch for r in current))
        self.move_on()

    def move_on(self) -> None:
        """Pass over what is booked, or lost and accepted, right behind the frontier; save."""
        while self._over_damage() or self._over_booked():
            pass
        self._save()

    def _pass(self, seq: int, epoch: int, raw: bytes) -> None:
        self._row.update(
            upto_seq=seq, receipt_seq=seq, receipt_epoch=epoch, receipt_link=link_of(raw)
        )

    def _over_booked(self) -> bool:
        upto = self._row["upto_seq"]
        if self._row["max_seq"] <= upto:
            return False
        r = RECORDS.c
        rows = self._connection.execute(
            sa.select(r.seq, r.epoch, r.raw)
            .where(
                r.unit_id == self._unit_id,
                r.epoch >= self._row["first_epoch"],
                r.seq > upto,
                r.seq <= upto + _STEP,
            )
            .order_by(r.seq, r.epoch)
        )
        for seq, epoch, raw in rows:
            if seq > self._row["upto_seq"] + 1:
                break
            self._pass(seq, epoch, bytes(raw))
        return self._row["upto_seq"] > upto

    def _over_damage(self) -> bool:
        upto = self._row["upto_seq"]
        d = DAMAGES.c
        last = self._connection.execute(
            sa.select(sa.func.max(d.last_seq)).where(
                d.unit_id == self._unit_id,
                d.life == self._row["first_epoch"],
                d.accepted == 1,
                d.first_seq <= upto + 1,
                d.last_seq > upto,
            )
        ).scalar()
        if last is None:
            return False
        self._row["upto_seq"] = last
        return True

    def _save(self) -> None:
        values = {k: v for k, v in self._row.items() if k != "unit_id"}
        self._connection.execute(
            UNITS.update().where(UNITS.c.unit_id == self._unit_id).values(**values)
        )
