"""An acquirer's host as data: frame, field table, keys, constants. See profiles/unionpay.toml.

A profile may name another that it `extends`: then it holds only what differs.
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flagfall_host.acquirer.errors import ProfileError

_FOLDER = Path(__file__).parent / "profiles"
MACS = ("unionpay-ecb", "x9.19")
CHARACTERS = ("bcd", "ascii")
_KINDS = ("n", "z", "a", "b")


@dataclass(frozen=True)
class KeyLayout:
    """One working key in DE62 of the sign-in answer; sizes in bytes."""

    name: str
    bytes: int
    padding: int
    check: int


@dataclass(frozen=True)
class Download:
    """The codes of one download in DE60.3. `query`, where there is one, comes first."""

    code: str
    end: str
    query: str = ""
    list_bytes: int = 163  # of DE63
    count_digits: int = 6  # of the entries that are here already, in DE62


@dataclass(frozen=True)
class Parameter:
    """One item of the downloaded parameters: its code, its length, what it is to a unit."""

    code: str
    length: int
    meaning: str
    setting: str = ""


@dataclass(frozen=True)
class Profile:
    """A loaded profile. `spec` is pyiso8583's; `tpdu` and `header` are bytes."""

    name: str
    length_bytes: int
    tpdu: bytes
    header: bytes
    mac: str
    answer_mac: bool
    mti_bytes: int
    answer_s: float
    currency: str
    operator: str
    network_code: str
    serial: str
    keys: tuple[KeyLayout, ...]
    done: tuple[str, ...]  # DE39: the acquirer has it
    sign_in_again: tuple[str, ...]
    try_later: tuple[str, ...]
    sale: dict[str, Any]
    transit: dict[str, Any]
    downloads: dict[str, Download]
    parameters: tuple[Parameter, ...]
    spec: dict[str, Any]

    @classmethod
    def load(cls, name: str | Path = "unionpay") -> "Profile":
        """A profile by name, or from a TOML file. Raises ProfileError."""
        path = Path(name) if str(name).endswith(".toml") else _FOLDER / f"{name}.toml"
        data = _read(path, name)
        try:
            return cls._from(data)
        except (KeyError, TypeError, ValueError) as e:
            raise ProfileError(f"{path}: {type(e).__name__} at {e}") from e

    def waiting(self, answer_s: float | None) -> "Profile":
        """The same profile with another longest wait for an answer; None: as it is."""
        return self if answer_s is None else replace(self, answer_s=answer_s)

    def parameters_in(self, text: str) -> list[tuple[str, str, str, str]]:
        """(code, meaning, a unit's setting or "", value) of each item of the parameters.

        Lengths are in bytes of GBK. What stands behind the first unknown code is left alone.
        """
        known = {item.code: item for item in self.parameters}
        data, out = text.encode("gbk", "replace"), []
        while len(data) >= 2:
            item = known.get(data[:2].decode("ascii", "replace"))
            if item is None:
                break
            value = data[2 : 2 + item.length].decode("gbk", "replace").strip()
            out.append((item.code, item.meaning, item.setting, value))
            data = data[2 + item.length :]
        return out

    @classmethod
    def _from(cls, data: dict[str, Any]) -> "Profile":
        if data["mac"] not in MACS:
            raise ValueError(f"mac must be one of {', '.join(MACS)}")
        tpdu, header = bytes.fromhex(data["tpdu"]), bytes.fromhex(data["header"])
        if len(tpdu) != 5 or len(header) != 6:
            raise ValueError("tpdu has 5 bytes, header 6")
        if data["characters"] not in CHARACTERS:
            raise ValueError(f"characters must be one of {', '.join(CHARACTERS)}")
        ascii_ = data["characters"] == "ascii"
        sign_in, answers = data["sign_in"], data["answers"]
        keys = tuple(KeyLayout(**key) for key in sign_in["keys"])
        if "mak" not in {key.name for key in keys}:
            raise ValueError("sign_in.keys: a mak is needed")
        return cls(
            name=data["name"],
            length_bytes=int(data["length_bytes"]),
            tpdu=tpdu,
            header=header,
            mac=data["mac"],
            answer_mac=bool(data["answer_mac"]),
            mti_bytes=4 if ascii_ else 2,
            answer_s=float(data["answer_s"]),
            currency=data["currency"],
            operator=data["operator"],
            network_code=sign_in["network_code"],
            serial=sign_in["serial"],
            keys=keys,
            done=tuple(answers["done"]),
            sign_in_again=tuple(answers["sign_in_again"]),
            try_later=tuple(answers["try_later"]),
            sale=dict(data["offline_sale"]),
            transit=dict(data["transit_sale"]),
            downloads={name: Download(**codes) for name, codes in data["downloads"].items()},
            parameters=tuple(Parameter(**item) for item in data["parameters"]),
            spec=_spec(data["fields"], ascii_),
        )


def _read(path: Path, name: str | Path) -> dict[str, Any]:
    """The tables of a profile, those of the one it `extends` underneath."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        known = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.toml")))
        raise ProfileError(
            f"profile {name}: cannot be read ({e.strerror}). Give a TOML file, or one of: {known}"
        ) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ProfileError(f"{path}: not TOML: {e}") from e
    base = data.pop("extends", None)
    if base is None:
        return data
    under = _read(_FOLDER / f"{base}.toml", base)
    for key, value in data.items():
        old = under.get(key)
        under[key] = (
            {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return under


def _spec(fields: dict[str, dict[str, Any]], ascii_: bool) -> dict[str, Any]:
    """pyiso8583's specification. Traps: `len_type` counts bytes of the length, not its digits."""
    spec: dict[str, Any] = {
        "h": _plain("b", 0),
        "t": _plain("ascii", 4) if ascii_ else _plain("b", 2),
        "p": _plain("b", 8),
        "1": _plain("b", 0),
    }
    for number, field in fields.items():
        kind = field["kind"]
        if kind not in _KINDS:
            raise ValueError(f"field {number}: kind must be one of {', '.join(_KINDS)}")
        digits, prefix = kind in ("n", "z"), field.get("prefix", 0)
        text = field.get("charset", "ascii") if kind == "a" else "ascii"
        binary = kind == "b" or (digits and not ascii_)
        entry = _plain("b" if binary else text, field["length"])
        entry["len_type"] = prefix if ascii_ else (prefix + 1) // 2
        entry["len_enc"] = "ascii" if ascii_ else "bcd"
        if digits and not ascii_:
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
