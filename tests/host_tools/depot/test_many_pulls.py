"""Several pulls at once: outcomes in the order of the ports, and no fault goes unseen."""

import pytest
from flagfall_host.depot.link_errors import PortError
from flagfall_host.depot.many_pulls import Settings, pull_all


class NoBar:
    def __call__(self, seq: int, total: int, record_bytes: int) -> None: ...

    def name(self, words: str) -> None: ...

    def end(self, words: str) -> None:
        self.ended = words


def test_each_port_has_its_outcome_and_one_named_twice_is_pulled_once():
    bars: dict[str, NoBar] = {}
    settings = Settings(lambda unit_id: None, None, 115_200, 0)  # type: ignore[arg-type]
    ports = ["/dev/ttyNONE2", "/dev/ttyNONE1", "/dev/ttyNONE2"]
    outcomes = pull_all(ports, settings, lambda port: bars.setdefault(port, NoBar()))
    assert [o.port for o in outcomes] == ["/dev/ttyNONE2", "/dev/ttyNONE1"]
    assert all(isinstance(o.error, PortError) and o.result is None for o in outcomes)
    assert [bar.ended for bar in bars.values()] == ["failed", "failed"]


def test_a_fault_of_the_program_is_raised(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("flagfall_host.depot.many_pulls.SerialWire", broken)
    settings = Settings(lambda unit_id: None, None, 115_200, 0)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        pull_all(["x"], settings, lambda port: NoBar())
