"""What an installer does to a fresh bench unit, over its cable."""

import json
from typing import Any

from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.stage import Silent, Stage
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.authority import certificate_file
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.languages import ENGLISH, compile_language
from flagfall_host.depot.link import Link
from flagfall_host.depot.provision import Identity, provision
from flagfall_host.depot.push import push
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.tariffs.compiler import compile_tariff

UNIT_ID = "BENCH-1"
TARIFF = "hefei"
TERMINAL_ID = "10000001"
MERCHANT_ID = "880210010210160"
CURRENCY = 156  # ISO 4217: CNY
COUNTRY = 156  # ISO 3166: China
CHINESE_COMPANY = "飞旗模拟出租汽车公司"
CHINESE_PLATE = "皖A·T0001"
_OFFLINE_LIMIT = 50_000  # minor units a tap
# The acquirer's parameters for one application, as its download brings them.
_AID_ROW = (
    "9F06{length:02X}{aid}DF0101009F08020020DF1105D84000A800DF1205D84004F800DF130500100000009F1B04"
    "{limit_hex}DF150400000000DF160199DF170199DF14039F3704DF1801019F7B06{limit}DF1906{limit}"
    "DF2006000999999999DF2106000000100000"
)
_AIDS = ("A000000333010101", "A000000333010102", "A000000333010106")


def aid_row(aid: str, limit: int = _OFFLINE_LIMIT) -> str:
    """The parameter TLV of an application, hex; `limit` for offline taps in minor units."""
    return _AID_ROW.format(
        length=len(aid) // 2, aid=aid, limit=f"{limit:012d}", limit_hex=f"{limit:08X}"
    )


def settings(k: int, language: str = ENGLISH) -> dict[str, Any]:
    """A bench unit's configuration (docs/formats.md section 7)."""
    out = {
        "k": k,
        "currency": CURRENCY,
        "country": COUNTRY,
        "terminal_id": TERMINAL_ID,
        "merchant_id": MERCHANT_ID,
        "company": "FLAGFALL BENCH TAXI",
        "plate": "TEST-001",
        "certificate": "0000000000",
        "phone": "000-0000",
        "aids": [aid_row(aid) for aid in _AIDS],
    }
    if language != ENGLISH:
        out |= {"company": CHINESE_COMPANY, "plate": CHINESE_PLATE}
    return out


def install(
    taxi: Taxi,
    fleet: Fleet,
    k: int,
    stage: Stage | None = None,
    tariff: str = TARIFF,
    uplink: dict[str, Any] | None = None,
    language: str = ENGLISH,
) -> None:
    """Provision, push settings, tariff, CA keys and language; return when the unit is For Hire.

    `uplink` (docs/formats.md section 7): it gets a certificate and dials the gateway.
    """
    stage = stage or Silent()
    identity = Identity(UNIT_ID, fleet.unit_key(UNIT_ID), fleet.public_der)
    stage.tell("installer", f"provisions {UNIT_ID} over {taxi.port}")
    capks = [row.hex() for row in catalogue.capk_tlvs()]
    with Link(SerialWire(taxi.port), fleet.unit_key) as link:
        chosen, certificate = settings(k, language), None
        if uplink is not None:
            chosen["uplink"] = uplink
            authority = fleet.authority()
            certificate = certificate_file(authority, authority.issue_unit(UNIT_ID))
        provision(link, identity, chosen, certificate)
        files = [("tariff", compile_tariff(tariff)), ("capk", json.dumps(capks).encode())]
        if language != ENGLISH:
            # Before the tariff, with which the unit comes up.
            files.insert(0, ("language", compile_language(language, "".join(_printed(chosen)))))
        for kind, blob in files:
            stage.tell("installer", f"pushes {kind}, {len(blob)} bytes")
            push(link, kind, blob)
    taxi.world.wait_face("the unit to come up", position="FOR HIRE", message="Sign in")


def _printed(chosen: dict[str, Any]) -> list[str]:
    return [value for value in chosen.values() if isinstance(value, str)]
