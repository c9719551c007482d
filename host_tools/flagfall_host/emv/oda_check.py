"""Offline data authentication of data given in a file: every certificate and signature."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flagfall.emv import oda_rsa, oda_sm2
from flagfall.emv.capk import SM2, Capk
from flagfall.emv.oda_rsa import OdaError

from flagfall_host.emv import known_keys
from flagfall_host.emv.errors import BadCardInput, from_hex


@dataclass
class Step:
    """One thing checked: `ok`, why not, and what was recovered or found."""

    name: str
    ok: bool
    why: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"step": self.name, "ok": self.ok, "why": self.why, "fields": self.fields}


def check_file(path: Path) -> list[Step]:
    """Read and check FILE.json. Raises BadCardInput if it is not such a file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        raise BadCardInput(f"{path}: cannot be read: {e}") from e
    except json.JSONDecodeError as e:
        raise BadCardInput(f"{path} line {e.lineno}: not JSON: {e.msg}") from e
    if not isinstance(data, dict):
        raise BadCardInput(f"{path}: must hold one JSON object")
    return check(data)


def check(data: dict[str, Any]) -> list[Step]:
    """Check certificates, static and dynamic data; steps in order, failed ones included."""
    return _Check(data).run()


def _hex(value: Any, what: str) -> bytes:
    if not isinstance(value, str):
        raise BadCardInput(f"{what}: must be hex text")
    return from_hex(value, what)


def _formats(value: Any) -> tuple[int, ...]:
    if value is None:
        return 0x05, 0x95, 0x15
    if not isinstance(value, list):
        raise BadCardInput('dynamic.format: must be a list such as [5] or ["05", "95"]')
    out = []
    for item in value:
        if isinstance(item, int) and not isinstance(item, bool):
            out.append(item)
        else:
            out.append(int.from_bytes(_hex(item, "dynamic.format"), "big"))
    return tuple(out)


class _Check:
    def __init__(self, data: dict[str, Any]) -> None:
        tags = data.get("tags", {})
        if not isinstance(tags, dict):
            raise BadCardInput("tags: must be an object of tag and hex value")
        self.tags = {str(t).upper(): _hex(v, f"tags.{t}") for t, v in tags.items()}
        self.rid = _hex(data.get("rid"), "rid")
        index = data.get("capk_index")
        if isinstance(index, str):
            index = int.from_bytes(_hex(index, "capk_index"), "big")
        if not isinstance(index, int) or not 0 <= index <= 255 or len(self.rid) != 5:
            raise BadCardInput("rid must be 5 bytes of hex, capk_index one byte of hex")
        self.index = index
        self.capk = self._capk(data.get("capk"))
        self.static = _hex(data.get("static", ""), "static")
        dynamic = data.get("dynamic")
        if dynamic is not None and not isinstance(dynamic, dict):
            raise BadCardInput("dynamic: must be an object with sdad, input and format")
        self.dynamic = dynamic
        self.sm2 = self.capk is not None and self.capk.algorithm == SM2

    def _capk(self, given: Any) -> Capk | None:
        if given is None:
            return known_keys.test_store().find(self.rid, self.index)
        if not isinstance(given, dict):
            raise BadCardInput("capk: must be an object with modulus and exponent")
        modulus = _hex(given.get("modulus"), "capk.modulus")
        exponent = _hex(given.get("exponent", "03"), "capk.exponent")
        return Capk(self.rid, self.index, SM2 if len(modulus) == 64 else 1, modulus, exponent)

    def tag(self, name: str) -> bytes:
        return self.tags.get(name, b"")

    def run(self) -> list[Step]:
        where = f"{self.rid.hex().upper()} index {self.index:02X}"
        if self.capk is None:
            why = "not among the known test keys: give it as capk {modulus, exponent}"
            return [Step("CA key", False, why, {"key": where})]
        bits = len(self.capk.modulus) * 8
        kind = "SM2" if self.sm2 else f"RSA {bits} bit"
        steps = [Step("CA key", True, "", {"key": where, "kind": kind})]
        issuer = self._certificate(steps, "issuer certificate (90)", self._issuer)
        if issuer is None:
            return steps
        if "93" in self.tags:
            self._static_signature(steps, issuer)
        if "9F46" not in self.tags:
            return steps
        icc = self._certificate(steps, "card certificate (9F46)", lambda: self._icc(issuer))
        if icc is not None and self.dynamic is not None:
            self._dynamic(steps, icc)
        return steps

    def _certificate(self, steps: list[Step], name: str, open_it: Any) -> Any:
        try:
            key = open_it()
        except OdaError as e:
            steps.append(Step(name, False, str(e)))
            return None
        fields = {
            "owner": key.owner,
            "expires": f"{key.expiry // 12:04d}-{key.expiry % 12 + 1:02d}",
            "serial": key.serial.hex().upper(),
        }
        if self.sm2:
            fields["point"] = key.point.hex().upper()
        else:
            fields["bits"] = str(len(key.modulus) * 8)
            fields["modulus"] = key.modulus.hex().upper()
            fields["exponent"] = key.exponent.hex().upper()
        steps.append(Step(name, True, "", fields))
        pan = self._pan()
        if pan is not None:
            ok = pan == key.owner if "9F46" in name else pan.startswith(key.owner)
            steps.append(Step("number in " + name, ok, "" if ok else "not that of the PAN"))
        return key

    def _pan(self) -> str | None:
        if "5A" in self.tags:
            return self.tags["5A"].hex().rstrip("f")
        if "57" in self.tags:
            return self.tags["57"].hex().partition("d")[0]
        return None

    def _issuer(self) -> Any:
        module = oda_sm2 if self.sm2 else oda_rsa
        return module.issuer_key(self.capk, self.tag("90"), self.tag("92"), self.tag("9F32"))

    def _statics(self) -> list[tuple[str, list[bytes]]]:
        """Readings of `static`: with the AIP behind it if 9F4A says so, and as it is given."""
        as_given = ("as given", [self.static])
        if self.tag("9F4A") == b"\x82" and "82" in self.tags:
            return [("with AIP appended", [self.static, self.tags["82"]]), as_given]
        return [as_given]

    def _first_that_fits(self, attempt: Any) -> tuple[Any, str]:
        failure: OdaError | None = None
        for reading, static in self._statics():
            try:
                return attempt(static), reading
            except OdaError as e:
                failure = failure or e
        raise failure or OdaError("card-cert", "no static data")

    def _icc(self, issuer: Any) -> Any:
        if "9F4A" in self.tags and self.tags["9F4A"] != b"\x82":
            raise OdaError("card-cert", "9F4A must be 82: nothing else may be in it")
        module = oda_sm2 if self.sm2 else oda_rsa
        certificate, rest, exponent = self.tag("9F46"), self.tag("9F48"), self.tag("9F47")
        key, _ = self._first_that_fits(
            lambda static: module.icc_key(issuer, certificate, rest, exponent, static)
        )
        return key

    def _static_signature(self, steps: list[Step], issuer: Any) -> None:
        module = oda_sm2 if self.sm2 else oda_rsa
        name = "static signature (93)"
        try:
            code, reading = self._first_that_fits(
                lambda static: module.static_signature(issuer, self.tag("93"), static)
            )
        except OdaError as e:
            steps.append(Step(name, False, str(e)))
            return
        fields = {"data authentication code": code.hex().upper(), "static data": reading}
        steps.append(Step(name, True, "", fields))

    def _dynamic(self, steps: list[Step], icc: Any) -> None:
        dynamic = self.dynamic or {}
        module = oda_sm2 if self.sm2 else oda_rsa
        sdad = _hex(dynamic.get("sdad", self.tag("9F4B").hex()), "dynamic.sdad")
        tail = _hex(dynamic.get("input"), "dynamic.input")
        formats = _formats(dynamic.get("format"))
        name = "dynamic signature"
        try:
            opened = module.open_dynamic(icc, sdad, formats)
        except OdaError as e:
            steps.append(Step(name, False, str(e)))
            return
        fields = {"format": f"{opened.format:02X}", "dynamic data": opened.number.hex().upper()}
        if not self.sm2:
            fields["hash"] = opened.hash.hex().upper()
        if opened.atc() is not None:
            fields["ATC"] = opened.atc().hex().upper()
        ok = opened.matches(tail)
        steps.append(Step(name, ok, "" if ok else "hash does not match the input", fields))
