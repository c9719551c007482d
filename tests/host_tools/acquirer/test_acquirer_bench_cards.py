"""The bench's cards, taken by the unit's own kernel, authorised at the host with their keys."""

import pytest
from flagfall_host.acquirer.client import Acquirer
from flagfall_host.bench.acquirer_process import AcquirerProcess
from flagfall_host.bench.tap import run_tap
from office import FLEET_KEY, TERMINAL, TapUnit, tlv

CARDS = [("ecash", 1), ("oda-debit", 2), ("oda-credit", 2), ("visitor", 2)]


def taken(unit, name, kind):
    """Tap the card at the kernel; put what it has to seal into a PAYMENT of `unit`."""
    tap = run_tap(name, profile="ecash" if kind == 1 else "oda")
    result = tap.transaction.outcome
    assert tap.outcome == "approved"
    if unit.data_key is None:
        unit.key_record(FLEET_KEY.public_key())
    plain = b"".join(tlv(f"{tag:X}".zfill(2), value) for tag, value in result.data)
    unit.payment(
        tap.amount,
        last=result.last_four,
        atc=result.atc,
        tag=name.encode().ljust(8)[:8],
        sealed=unit.seal(plain),
        profile=kind,
    )
    unit.trip(tap.amount, 0, 2)
    return tap.amount


@pytest.mark.parametrize("faults", [{}, {"unbalanced": 1, "drop": 1}])
def test_cards_of_the_bench_are_authorised_after_the_ride(ledger, tmp_path, faults):
    unit = TapUnit()
    amount = sum(taken(unit, name, kind) for name, kind in CARDS)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    with (
        AcquirerProcess(tmp_path, faults=faults) as host,
        Acquirer(ledger, FLEET_KEY, TERMINAL, host.host, host.port) as acquirer,
    ):
        acquirer.sign_in()
        result = acquirer.upload()
        assert (result.accepted, result.refused, result.unreadable) == (4, [], [])
        settled = acquirer.settle()
        assert (settled.count, settled.amount) == (4, amount)
        assert settled.balanced is not bool(faults)
        books = host.everything()
    assert (books["settled_payments"], books["settled_amount"]) == (4, amount)
    assert ledger.check() == []
