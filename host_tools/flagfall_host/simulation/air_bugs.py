"""Bugs on purpose between a unit and its office: by air, in its files, in its programs."""

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest import mock

from flagfall.journal.record import Record

from flagfall_host.gateway import server, visit
from flagfall_host.gateway.desk import UnitDesk
from flagfall_host.ledger.booking import BookingResult
from flagfall_host.ledger.placements import Admission
from flagfall_host.ledger.standing import Receipt, Standing
from flagfall_host.simulation import firmware_modules
from flagfall_host.simulation.bugs import Patch, _app, _both, _bug, _nothing, _replaced


@_bug("gateway-receipt-before-commit", "a gateway hands out a receipt before its commit is done")
def _gateway_receipt_before_commit() -> Patch:
    async def early(self: Any, unit_id: str, raws: list[bytes], key: bytes) -> BookingResult:
        self.booking = asyncio.get_running_loop().create_task(self._desk.book(unit_id, raws, key))
        newest = Record(raws[-1])
        receipt = Receipt(newest.epoch, newest.seq, bytes(newest.mac[:4]))
        self._standing = Standing(newest.seq, receipt)
        return BookingResult(new=len(raws))

    return mock.patch.object(UnitDesk, "book", early)


@_bug("shut-out-is-served", "a gateway lets in units that were shut out")
def _shut_out_is_served() -> Patch:
    def make(admission: Any) -> Any:
        return lambda *words: Admission(False, admission(*words).waiting)

    return _both(
        _replaced(visit, "admission", make),
        mock.patch.object(server, "turned_away", lambda _ledger: set()),
    )


@_bug("uplink-gives-up", "the uplink does not dial again after a call that failed")
def _uplink_gives_up() -> Patch:
    def make(failed: Any) -> Any:
        def for_ever(self: Any, *words: Any) -> None:
            failed(self, *words)
            self._not_before = 10**12

        return for_ever

    return _replaced(_app("uplink").Uplink.__base__, "_failed", make)


@_bug("tariff-in-a-trip", "a new tariff is in force at once, in the middle of a trip")
def _tariff_in_a_trip() -> Patch:
    def at_once(self: Any) -> None:
        tariff = self._next_tariff
        self.taximeter.set_tariff(tariff)
        self._tariff, self._next_tariff = tariff, None
        self._promote()

    return mock.patch.object(_app("meter").Meter, "_activate", at_once)


@_bug("old-file-taken", "a file of an older version than the one in force is taken")
def _old_file_taken() -> Patch:
    return mock.patch.object(_app("office").Office, "_stands", lambda *_: False)


@_bug("file-in-place", "a file is written over its old self, not beside it")
def _file_in_place() -> Patch:
    def make(write: Any) -> Any:
        def over(self: Any, name: str, *words: Any) -> None:
            module = _app("configuration")
            opened = module.open
            place = lambda path, mode="r": opened(path.removesuffix(".new"), mode)  # noqa: E731
            with (
                mock.patch.object(module, "open", place),
                mock.patch.object(module.os, "rename", _nothing),
            ):
                write(self, name, *words)

        return over

    return _replaced(_app("configuration").Configuration, "_write", make)


@_bug("update-marked-first", "a slot counts as whole before its program is written")
def _update_marked_first() -> Patch:
    def make(unpacked: Any) -> Any:
        def marked(self: Any, spool: Any, header: Any, head: Any, slot: str) -> Iterator[None]:
            self._whole(header, head, slot)
            yield from unpacked(self, spool, header, head, slot)

        return marked

    return _replaced(_app("update").Update, "_unpacked", make)


@_bug("trial-without-end", "a program that does not stand its trial is never given up")
def _trial_without_end() -> Patch:
    def make(fresh: Any) -> Any:
        def patient(path: Any) -> Any:
            module = fresh(path)
            module.TRIES = 10**9
            return module

        return patient

    return _replaced(firmware_modules, "fresh", make)


@_bug("update-in-a-trip", "a new program is started whoever is hired")
def _update_in_a_trip() -> Patch:
    def begin_trial(self: Any) -> None:
        now = self._chooser.state()
        if now["ready"] and not now["audit"]:
            now.update(trial=now["ready"], ready="", tries=0, failed=0, told=True)
            self._chooser.put(now)
            self._chooser.restart()

    return _both(
        mock.patch.object(_app("update").Update, "not_now", lambda _self: ""),
        mock.patch.object(_app("update").Update, "begin_trial", begin_trial),
        mock.patch.object(_app("link").Maintenance, "vacant", True),
    )
