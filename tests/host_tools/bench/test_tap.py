"""One tap in modelled time: the model's arithmetic, its agreement with the chips, the command."""

import json

import pytest
import typer
from flagfall_host.bench import rf_time
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.rf_time import CARD, LINK, RF, TERMINAL, Unit
from flagfall_host.bench.tap import Bench, ChipCannot, run_tap
from flagfall_host.cli.bench_tap import tap as command
from typer.testing import CliRunner

CHIPS = ["pn532", "mfrc522"]
LANES = {RF, CARD, LINK, TERMINAL}


def test_frames_on_the_air():
    # 7 bits with start and end; then 9 bits a byte (ISO/IEC 14443-3, 6.2.3), 9.44 us each.
    assert rf_time.frame_us(1, 7) == pytest.approx(85.0, abs=0.1)
    assert rf_time.frame_us(64) == pytest.approx(578 * 9.4395, abs=0.1)


def test_an_exchange_is_made_of_blocks():
    short = rf_time.exchange(5, 61, 0, 256, 64, 8)
    assert [s.label for s in short] == ["command", "card", "answer"]
    chained = rf_time.exchange(62, 123, 0, 64, 64, 8)
    labels = [s.label for s in chained]
    assert labels.count("command") == 2 and labels.count("answer") == 3
    assert labels.count("acknowledgement") == 1 + 2


def test_a_card_that_needs_longer_than_it_announced_asks_for_more():
    fwt = 4096 * 128 / rf_time.FC
    stretches = rf_time.exchange(5, 20, 3 * fwt, 256, 64, 7)
    assert [s.label for s in stretches].count("more time") == 1
    card = sum(s.us for s in stretches if s.kind == CARD)
    assert card == pytest.approx(3 * fwt)
    assert not [s for s in rf_time.exchange(5, 20, 0.8 * fwt, 256, 64, 7) if "more" in s.label]


@pytest.mark.parametrize(
    ("card", "profile"), [("ecash", "ecash"), ("ecash-8-reads", "ecash"), ("oda-debit", "oda")]
)
def test_the_formula_and_the_register_chip_agree_on_the_air(card, profile):
    """Written twice: as a sum for the PN532, and frame by frame in the MFRC522's simulator."""
    summed, played = (run_tap(card, chip, profile) for chip in CHIPS)
    assert summed.sum_us(CARD) == pytest.approx(played.sum_us(CARD), abs=5)
    # The sum counts the shortest pause before each of the reader's frames and the power-up; on
    # the other chip what passes there is the unit's.
    frames = sum(s.label in ("command", "acknowledgement", "more time") for s in summed.segments)
    pauses = rf_time.POWER_UP + (frames + 7) * rf_time.FDT_READER
    assert summed.sum_us(RF) - played.sum_us(RF) == pytest.approx(pauses, rel=0.25)


def test_they_agree_on_type_b():
    summed, played = (run_tap("oda-debit", chip, "oda", kind="B") for chip in ("pn532", "fm175xx"))
    assert summed.sum_us(CARD) == pytest.approx(played.sum_us(CARD), abs=5)
    frames = sum(s.label in ("command", "acknowledgement", "more time") for s in summed.segments)
    pauses = rf_time.POWER_UP + (frames + 2) * rf_time.FDT_READER
    # The other chip also woke the card in its round of polls, and again to choose it.
    again = rf_time.frame_us(5, kind="B") + rf_time.frame_us(14, kind="B")
    assert summed.sum_us(RF) + again - played.sum_us(RF) == pytest.approx(pauses, rel=0.25)


def test_a_chip_without_type_b_says_so():
    with pytest.raises(ChipCannot, match="use fm175xx"):
        run_tap("ecash", "mfrc522", kind="B")
    done = run("--chip", "fm175xx", "--type", "B", "--json")
    assert json.loads(done.output)["outcome"] == "approved"


@pytest.mark.parametrize("chip", CHIPS)
def test_segments_lie_within_the_tap_and_air_and_card_never_overlap(chip):
    result = run_tap("ecash", chip, "ecash")
    assert {s.kind for s in result.segments} <= LANES
    for s in result.segments:
        assert 0 <= s.start < s.end <= result.total_us + 1
    shared = sorted((s for s in result.segments if s.kind in (RF, CARD)), key=lambda s: s.start)
    for before, after in zip(shared, shared[1:], strict=False):
        assert after.start >= before.end - 0.01
    own = sorted((s for s in result.segments if s.kind == TERMINAL), key=lambda s: s.start)
    for before, after in zip(own, own[1:], strict=False):
        assert after.start >= before.end - 0.01
    assert result.total_us > result.floor_us


@pytest.mark.parametrize("chip", CHIPS)
def test_the_same_tap_takes_the_same_time(chip):
    first, second = (run_tap("oda-debit", chip, "oda").as_json() for _ in range(2))
    assert first == second


def test_a_faster_machine_and_a_faster_wire_leave_only_the_floor():
    slow = run_tap("oda-debit", profile="oda")
    ideal = Unit(1e12, 1e12, flash_us=0, baud=921_600, chip_us=0)
    fast = run_tap("oda-debit", profile="oda", unit=ideal)
    assert fast.floor_us == pytest.approx(slow.floor_us)
    assert fast.total_us < slow.total_us
    wire = fast.sum_us(LINK)
    assert fast.own_us <= wire + 50


@pytest.mark.parametrize("chip", CHIPS)
def test_certificates_are_opened_while_the_card_works(chip):
    ahead = run_tap("ecash-8-reads", chip, warm=False)
    after = run_tap("ecash-8-reads", chip, warm=False, works_ahead=False)
    assert ahead.instructions["rsa"] == after.instructions["rsa"]
    assert ahead.card_us < after.card_us
    warm = run_tap("ecash-8-reads", chip)
    assert warm.instructions["rsa"] < ahead.instructions["rsa"]
    for result in (ahead, after, warm):
        assert moments(result, "RSA")[-1] < moments(result, "intent to flash")[0]


def moments(result, label):
    return [s.start for s in result.segments if s.label.startswith(label)]


@pytest.mark.parametrize("chip", CHIPS)
def test_a_transit_card_may_go_before_its_certificates_are_opened(chip):
    for warm in (False, True):
        result = run_tap("oda-debit", chip, "oda", warm=warm)
        assert result.outcome == "approved"
        assert moments(result, "RSA")[0] >= result.card_us
        assert moments(result, "payment to flash")[0] > moments(result, "RSA")[-1]


def test_only_a_purse_is_made_durable_before_its_debit():
    labels = [s.label for s in run_tap("ecash").segments]
    assert labels.count("intent to flash") == 1 and labels.count("payment to flash") == 1
    labels = [s.label for s in run_tap("oda-debit", profile="oda").segments]
    assert labels.count("intent to flash") == 0 and labels.count("payment to flash") == 1


def test_no_card_is_a_tap_to_try_again():
    bench = Bench()
    result = bench.tap()
    assert (result.outcome, result.reason, result.apdus) == ("try again", "left", 1)


def run(*arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, arguments)


def test_the_command_says_how_it_ended_and_what_it_took(tmp_path):
    chart = tmp_path / "tap.png"
    done = run("--card", "ecash", "--chart", str(chart))
    assert done.exit_code == 0, done.output
    for text in ("Paid. Take your card.", "7 APDUs", "floor: air and card", "from field"):
        assert text in done.output
    assert chart.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("chip", CHIPS)
def test_json_has_every_figure(chip):
    done = run("--card", "oda-debit", "--chip", chip, "--profile", "oda", "--json")
    told = json.loads(done.output)
    assert (told["outcome"], told["apdus"], told["records"]) == ("approved", 7, 4)
    assert told["card_done_ms"] == pytest.approx(told["floor_ms"] + told["own_ms"], abs=0.01)
    assert told["card_done_ms"] < told["total_ms"]
    assert told["floor_ms"] == pytest.approx(told["rf_ms"] + told["card_ms"], abs=0.01)
    assert {s["kind"] for s in told["segments"]} >= {RF, CARD, TERMINAL}


def test_an_unknown_card_and_a_bad_place_are_typed_errors(tmp_path):
    assert isinstance(run("--card", "nobody").exception, catalogue.NoSuchCard)
    failed = run("--chart", str(tmp_path / "no" / "tap.png")).exception
    assert "give another --chart" in str(failed)
