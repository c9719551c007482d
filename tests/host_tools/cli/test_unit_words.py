"""What a person reads of a unit's INFO and of a pull."""

from flagfall_host.cli.unit_words import info_words, pull_words

NOW = 848_880_000
PULLED = {
    "unit": "CAB-1",
    "records": 0,
    "bytes": 0,
    "seconds": 0.1,
    "receipt_up_to": 7,
    "repeated": 0,
    "refused": [],
    "findings": [],
}


def test_info_in_words():
    journal = {"used": 5, "capacity": 50, "last_seq": 9, "acked_seq": 7, "drops": 2}
    said = info_words(
        {
            "unit_id": "CAB-1",
            "time": NOW + 3_700,
            "position": 2,
            "driver": "",
            "audit": 3,
            "receipt_due": True,
            "totals": {"hirings": 3, "distance_mm": 2_189_000, "fares": 3_050},
            "journal": journal,
            "tariff_version": 4,
            "uplink": {"state": "up", "calls_today": 3, "up_today": 4_200, "down_today": 900},
            "program": {
                "slot": "b",
                "release": 3,
                "trial": False,
                "waiting": {"slot": "a", "release": 4, "version": "0.2.0", "metrology": "ab" * 32},
                "given_up": 2,
            },
            "heap_free": 1,
        },
        NOW,
    )
    assert said == {
        "clock": "2026-11-25T01:01:40Z, 1:01:40 ahead of this machine",
        "position": "Stopped",
        "driver": "nobody is signed in",
        "changes under the seal": "3",
        "receipt": "of the last trip is not printed yet",
        "totals": "hirings 3, km driven 2.18, fares 30.50",
        "journal": "10 % full, 2 of 9 records not pulled yet, "
        "2 RECORDS DROPPED because it was full",
        "tariff version": "4",
        "uplink": "up; nothing said yet; today 3 calls, 4,200 bytes up, 900 down",
        "program": "release 3, slot b",
        "program that waits": "release 4 (0.2.0), slot a, metrology abababababababab...",
        "program given up": "release 2: it did not start three times",
    }
    assert info_words({"time": NOW}, NOW)["clock"].endswith(", right")
    # An answer of a later release is shown, not choked on.
    odd = {"position": 9, "time": "noon", "totals": 5, "journal": {"used": "x"}, "metrology": 1}
    assert info_words(odd, NOW)["position"] == "9"


def test_a_pull_in_words():
    assert pull_words(PULLED) == ["CAB-1: nothing new, 7 records are booked in all"]
    found = {
        **PULLED,
        "records": 13,
        "bytes": 2_048,
        "repeated": 1,
        "refused": ["CAB-1 record 5"],
        "findings": ["gap"],
    }
    first, *rest = pull_words(found)
    assert first.startswith("CAB-1: 13 new records, 2,048 bytes in 0.1 s; booked")
    assert [line.partition(": ")[2] for line in rest] == [
        "1 of them were booked before",
        "CAB-1 record 5",
        "gap",
    ]
