"""Progress bars: a bar for each unit on a terminal, nothing where there is none."""

import io

import pytest
from flagfall_host.cli import pull_progress
from rich.console import Console


@pytest.mark.parametrize("terminal", [True, False])
def test_one_bar_a_unit_and_how_each_ended(monkeypatch: pytest.MonkeyPatch, terminal: bool):
    out = io.StringIO()
    monkeypatch.setattr(
        pull_progress,
        "Console",
        lambda stderr: Console(file=out, force_terminal=terminal, width=100),
    )
    with pull_progress.PullDisplay() as display:
        one, two = display.bar("/dev/ttyUSB0"), display.bar("/dev/ttyUSB1")
        one.name("CAB-1")
        for seq in range(11, 21):
            one(seq, 20, seq * 1024)
        one.end("done")
        two.end("failed")
    text = out.getvalue()
    if not terminal:
        assert text == ""
        return
    assert "CAB-1" in text and "10/10" in text and "done" in text
    assert "/dev/ttyUSB1" in text and "failed" in text


def test_records_beyond_the_total_that_was_named_do_not_break_it():
    with pull_progress.PullDisplay() as display:
        bar = display.bar("x")
        bar(5, 0, 10)
        bar(6, 3, 20)
        bar.end("done")
