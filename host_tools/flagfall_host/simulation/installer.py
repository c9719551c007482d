"""What the installer does to each unit of the city over its cable."""

import json
from pathlib import Path
from typing import Any

from flagfall_host.bench.cards import catalogue
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.provision import Identity, provision
from flagfall_host.depot.push import push
from flagfall_host.tariffs.compiler import compile_tariff

TARIFF = Path(__file__).with_name("tariff.toml")


def install(
    link: Link,
    fleet: Fleet,
    name: str,
    settings: dict[str, Any],
    certificate: bytes | None = None,
    campaigns: list[dict[str, Any]] | None = None,
) -> None:
    """Provision a unit fresh from the factory; push settings, tariff, CA keys and the campaigns
    (flagfall/campaign.py), unsigned as in the workshop."""
    provision(link, Identity(name, fleet.unit_key(name), fleet.public_der), settings, certificate)
    capks = [row.hex() for row in catalogue.capk_tlvs()]
    push(link, "tariff", compile_tariff(TARIFF))
    push(link, "capk", json.dumps(capks).encode())
    if campaigns:
        push(link, "campaigns", json.dumps(campaigns).encode())
