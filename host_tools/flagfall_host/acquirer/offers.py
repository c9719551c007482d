"""What an acquirer's host has to download: parameters, CA keys, AIDs, deny lists.

The simulator's side. Lists are given out in messages that each hold what fits in DE62 or DE63.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flagfall.emv.tlv import TlvError, encode, parse

from flagfall_host.acquirer.codec import Message
from flagfall_host.acquirer.errors import AcquirerError
from flagfall_host.acquirer.profile import Download, Profile

_RID_OR_AID, _INDEX, _EXPIRY = 0x9F06, 0x9F22, 0xDF05
_QUERY_BYTES = 480  # of DE62, behind its first character
NONE, ALL, MORE, LAST = "0", "1", "2", "3"


@dataclass
class Offers:
    """`lists`: by download name, entries as text lines. TLVs as bytes."""

    parameters: dict[str, str] = field(default_factory=dict)  # code -> value
    capk: list[bytes] = field(default_factory=list)
    aid: list[bytes] = field(default_factory=list)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def answer(self, profile: Profile, question: Message) -> dict[str, str] | None:
        """The fields of the answer to a download's question; None if it is none."""
        code = question.fields["60"][8:11]
        for name, download in profile.downloads.items():
            if code == download.query:
                return self._ids(name, question)
            if code == download.end:
                return {}
            if code == download.code:
                if name in ("capk", "aid"):
                    return self._item(name, question)
                if name == "parameters":
                    text = "".join(key + value for key, value in self.parameters.items())
                    return {"62": text.encode("gbk").hex().upper()}
                return self._entries(name, download, question)
        return None

    def _rows(self, name: str) -> list[bytes]:
        return self.capk if name == "capk" else self.aid

    def _ids(self, name: str, question: Message) -> dict[str, str]:
        """The answer to a query: the ids of the rows from the one on that was asked for."""
        first = int(bytes.fromhex(question.fields.get("62", ""))[1:].decode() or "0")
        ids = [identity(row) for row in self._rows(name)]
        out, at = b"", first
        while at < len(ids) and len(out) + len(ids[at]) <= _QUERY_BYTES:
            out += ids[at]
            at += 1
        if not ids:
            flag = NONE
        elif at < len(ids):
            flag = MORE
        else:
            flag = ALL if first == 0 else LAST
        return {"62": (flag.encode() + out).hex().upper()}

    def _item(self, name: str, question: Message) -> dict[str, str]:
        wanted = bytes.fromhex(question.fields.get("62", ""))
        row = next((r for r in self._rows(name) if identity(r).startswith(wanted)), None)
        if row is None or not wanted:
            return {"62": NONE.encode().hex()}
        return {"62": (ALL.encode() + row).hex().upper()}

    def _entries(self, name: str, download: Download, question: Message) -> dict[str, str]:
        first = int(bytes.fromhex(question.fields.get("62", ""))[1:].decode() or "0")
        entries = self.lists.get(name, [])
        out: list[str] = []
        at = first
        while at < len(entries) and len(",".join([*out, entries[at]])) <= download.list_bytes:
            out.append(entries[at])
            at += 1
        flag = NONE if not entries else MORE if at < len(entries) else LAST if first else ALL
        fields = {"62": flag.encode().hex()}
        if out:
            fields["63"] = ",".join(out)
        return fields


def identity(row: bytes) -> bytes:
    """What a query's answer says of a CA key or AID row: 9F06, and 9F22 and DF05 for a key."""
    try:
        tags = dict(parse(row))
    except TlvError as e:
        raise AcquirerError(f"a row of the downloads is no TLV: {e}") from None
    known = [tag for tag in (_RID_OR_AID, _INDEX, _EXPIRY) if tag in tags]
    return b"".join(encode(tag, tags[tag]) for tag in known)


def read(path: Path) -> Offers:
    """From TOML: `parameters` (a table by code), `capk` and `aid` (hex), `deny` and `deny-oda`."""
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        offers = Offers(
            {str(k): str(v) for k, v in data.pop("parameters", {}).items()},
            [bytes.fromhex(row) for row in data.pop("capk", [])],
            [bytes.fromhex(row) for row in data.pop("aid", [])],
            {name: [str(x) for x in entries] for name, entries in data.items()},
        )
    except OSError as e:
        raise AcquirerError(f"{path}: cannot be read: {e.strerror}") from e
    except (ValueError, TypeError, AttributeError) as e:
        raise AcquirerError(f"{path}: no downloads in it: {e}") from e
    return offers
