"""An acquirer's host as data: frame, field table, keys, constants. See profiles/unionpay.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flagfall_host.acquirer.errors import ProfileError

_FOLDER = Path(__file__).parent / "profiles"
MACS = ("unionpay-ecb", "x9.19")
_KINDS = ("n", "z", "a", "b")


@dataclass(frozen=True)
class KeyLayout:
    """One working key in DE62 of the sign-in answer; sizes in bytes."""

    name: str
    bytes: int
    padding: int
    check: int


@dataclass(frozen=True)
class Profile:
    """A loaded profile. `spec` is pyiso8583's; `tpdu` and `header` are bytes."""

    name: str
    length_bytes: int
    tpdu: bytes
    header: bytes
    mac: str
    answer_s: float
    currency: str
    operator: str
    network_code: str
    serial: str
    keys: tuple[KeyLayout, ...]
    sale: dict[str, Any]
    spec: dict[str, Any]

    @classmethod
    def load(cls, name: str | Path = "unionpay") -> "Profile":
        """A profile by name, or from a TOML file. Raises ProfileError."""
        path = Path(name) if str(name).endswith(".toml") else _FOLDER / f"{name}.toml"
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as e:
            known = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.toml")))
            raise ProfileError(f"profile {name}: cannot be read ({e.strerror}); {known}") from e
        except tomllib.TOMLDecodeError as e:
            raise ProfileError(f"{path}: not TOML: {e}") from e
        try:
            return cls._from(data)
        except (KeyError, TypeError, ValueError) as e:
            raise ProfileError(f"{path}: {type(e).__name__} at {e}") from e

    @classmethod
    def _from(cls, data: dict[str, Any]) -> "Profile":
        if data["mac"] not in MACS:
            raise ValueError(f"mac must be one of {', '.join(MACS)}")
        tpdu, header = bytes.fromhex(data["tpdu"]), bytes.fromhex(data["header"])
        if len(tpdu) != 5 or len(header) != 6:
            raise ValueError("tpdu has 5 bytes, header 6")
        return cls(
            name=data["name"],
            length_bytes=int(data["length_bytes"]),
            tpdu=tpdu,
            header=header,
            mac=data["mac"],
            answer_s=float(data["answer_s"]),
            currency=data["currency"],
            operator=data["operator"],
            network_code=data["sign_in"]["network_code"],
            serial=data["sign_in"]["serial"],
            keys=tuple(KeyLayout(**key) for key in data["sign_in"]["keys"]),
            sale=dict(data["offline_sale"]),
            spec=_spec(data["fields"]),
        )


def _spec(fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """pyiso8583's specification. Traps: `len_type` counts bytes of the length, not its digits."""
    spec: dict[str, Any] = {
        "h": _plain("b", 0),
        "t": _plain("b", 2),
        "p": _plain("b", 8),
        "1": _plain("b", 0),
    }
    for number, field in fields.items():
        kind = field["kind"]
        if kind not in _KINDS:
            raise ValueError(f"field {number}: kind must be one of {', '.join(_KINDS)}")
        digits = kind in ("n", "z")
        entry = _plain("b" if kind != "a" else field.get("charset", "ascii"), field["length"])
        entry["len_type"] = (field.get("prefix", 0) + 1) // 2
        if digits:
            entry["len_count"] = "nibbles"
            if "pad" in field:
                entry[f"{field['pad']}_pad"] = "0"
        spec[str(int(number))] = entry
    return spec


def _plain(encoding: str, length: int) -> dict[str, Any]:
    return {
        "data_enc": encoding,
        "len_enc": "bcd",
        "len_type": 0,
        "max_len": length,
        "len_count": "bytes",
        "desc": "",
    }
