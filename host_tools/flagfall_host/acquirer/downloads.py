"""What the acquirer gives its terminals: parameters, CA keys, AIDs, deny lists.

Each is a question, or a query and many questions, and an end message. What has come is kept in a
partial file, so that a download that broke off goes on where it stopped; the whole result then
takes the place of the one before it at once. The files are those of the office folder
(docs/configuration.md): office files come before them.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from flagfall.emv.aid import ParameterError, parse_aid
from flagfall.emv.capk import CapkError, parse_capk
from flagfall.emv.tlv import TlvError, encode, parse

from flagfall_host.acquirer import message
from flagfall_host.acquirer.errors import AcquirerError, FrameError
from flagfall_host.acquirer.offers import ALL, LAST, MORE, NONE
from flagfall_host.acquirer.profile import Download
from flagfall_host.acquirer.talk import Talk

FOLDER = "downloads"
_PARTIAL_S = 6 * 3600  # a partial result older than this is begun anew
_MOST = 20_000  # messages of one download
_RID_OR_AID, _INDEX, _EXPIRY = 0x9F06, 0x9F22, 0xDF05
Said = Callable[[str, int], None]  # (which download, entries so far)


class Downloader:
    """Downloads by one terminal's talk into `folder`/downloads. `test`: the CA keys are."""

    def __init__(self, talk: Talk, folder: Path, *, test: bool = False) -> None:
        self._talk = talk
        self._folder = folder / FOLDER
        self._test = test
        self._downloads = talk.profile.downloads

    async def fetch(self, name: str, said: Said | None = None) -> tuple[Path, int]:
        """One download, whole: the file that it became, and its entries.

        Raises NoAnswer if the host stops answering: the next call goes on where this one stopped.
        """
        download = self._downloads.get(name)
        if download is None:
            raise AcquirerError(
                f"download {name}: the profile {self._talk.profile.name} has "
                f"{', '.join(self._downloads)}"
            )
        partial = _Partial(self._folder / f".{name}.partial", said and (lambda n: said(name, n)))
        if name == "parameters":
            rows = [await self._parameters(download)]
        elif name in ("capk", "aid"):
            rows = await self._rows(name, download, partial)
        else:
            rows = await self._list(name, download, partial)
        path = self._keep(name, rows)
        await self._talk.ask_download(message.download(download.end), f"the end of {name}")
        partial.remove()
        return path, len(rows)

    async def _parameters(self, download: Download) -> str:
        answer = await self._talk.ask_download(message.download(download.code), "the parameters")
        return _bytes(answer.fields.get("62", "")).decode("gbk", "replace")

    async def _rows(self, name: str, download: Download, partial: "_Partial") -> list[str]:
        """CA keys or AIDs: the query for their ids, then each row. Hex."""
        ids: list[bytes] = []
        for _ in range(_MOST):
            query = message.download(download.query, f"1{len(ids):02d}".encode(), status=True)
            flag, data = await self._flagged(query, f"the query of {name}")
            ids += _ids(data)
            if flag != MORE or not data:
                break
        for one in ids:
            if one.hex() in partial.rows:
                continue
            wanted = b"".join(encode(tag, v) for tag, v in parse(one) if tag != _EXPIRY)
            flag, row = await self._flagged(message.download(download.code, wanted), name)
            if flag != ALL or not row.startswith(wanted):
                raise FrameError(f"the acquirer lists {name} {one.hex()} and does not give it")
            _check(name, row)
            partial.add(one.hex(), row.hex().upper())
        return [partial.rows[one.hex()] for one in ids]

    async def _list(self, name: str, download: Download, partial: "_Partial") -> list[str]:
        """A deny list: message after message, each from the first entry that is not here."""
        for _ in range(_MOST):
            have = len(partial.rows)
            asked = message.download(download.code, f"1{have:0{download.count_digits}d}".encode())
            answer = await self._talk.ask_download(asked, name)
            flag = _bytes(answer.fields.get("62", ""))[:1].decode("ascii", "replace")
            if flag not in (NONE, ALL, MORE, LAST):
                raise FrameError(f"{name}: the answer does not say whether there is more (DE62)")
            text = answer.fields.get("63", "")
            for at, entry in enumerate(part for part in text.split(",") if part.strip()):
                partial.add(str(have + at), _entry(name, entry.strip()))
            if flag != MORE:
                break
            if len(partial.rows) == have:
                raise FrameError(f"{name}: the acquirer says that there is more and gives nothing")
        return list(partial.rows.values())

    async def _flagged(self, asked: message.DownloadQuestion, what: str) -> tuple[str, bytes]:
        """DE62 of the answer: its first character and what stands behind it."""
        answer = await self._talk.ask_download(asked, what)
        data = _bytes(answer.fields.get("62", ""))
        return data[:1].decode("ascii", "replace"), data[1:]

    def _keep(self, name: str, rows: list[str]) -> Path:
        if name == "parameters":
            return _replace(self._folder / "parameters.toml", self._parameters_text(rows[0]))
        listed = "".join(f'    "{row}",\n' for row in rows)
        if name == "capk":
            live = "false" if self._test else "true"
            text = f"live = {live}\nkeys = [\n{listed}]\n"
            return _replace(self._folder / "capk.toml", text)
        if name == "aid":
            return _replace(self._folder / "aids.toml", f"aids = [\n{listed}]\n")
        text = "".join(f"{row}\n" for row in rows)
        return _replace(self._folder / "deny" / f"{name}.txt", text)

    def _parameters_text(self, data: str) -> str:
        """Those that a unit knows as its settings, the others as comments."""
        out = ""
        for code, meaning, setting, value in self._talk.profile.parameters_in(data):
            if setting:
                out += f"{setting} = {json.dumps(value, ensure_ascii=False)}  # {code}\n"
            else:
                out += f"# {code} {meaning}: {value}\n"
        return out


class _Partial:
    """Rows of a download that is not whole yet, on the disk as they come."""

    def __init__(self, path: Path, said: Callable[[int], None] | None) -> None:
        self._path, self._said = path, said
        self.rows: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime < _PARTIAL_S:
                self._read(path.read_text(encoding="utf-8"))
            else:
                path.unlink()

    def _read(self, text: str) -> None:
        for line in text.splitlines():
            key, tab, row = line.partition("\t")
            if not tab or not row.endswith("."):
                break  # cut off in the middle: what stands before it counts
            self.rows[key] = row[:-1]

    def add(self, key: str, row: str) -> None:
        self.rows[key] = row
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            f.write(f"{key}\t{row}.\n")
        if self._said:
            self._said(len(self.rows))

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> Path:
    """The whole file, or the old one; for its owner only, since deny lists hold card numbers."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        f.write("# From the acquirer. A file of the same name in the office folder comes first.\n")
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    fresh.replace(path)
    return path


def _bytes(text: str) -> bytes:
    """DE62, which some profiles have as text."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode("utf-8", "replace")


def _ids(data: bytes) -> list[bytes]:
    """The ids in a query's answer: 9F06, or 9F06, 9F22 and DF05, one after the other."""
    out: list[bytes] = []
    try:
        for tag, value in parse(data):
            if tag == _RID_OR_AID:
                out.append(b"")
            if not out or tag not in (_RID_OR_AID, _INDEX, _EXPIRY):
                raise FrameError(f"the answer to a query holds tag {tag:X}")
            out[-1] += encode(tag, value)
    except TlvError as e:
        raise FrameError(f"the answer to a query cannot be read: {e}") from None
    return out


def _check(name: str, row: bytes) -> None:
    """A row that no unit would take is not kept. Raises FrameError."""
    try:
        (parse_capk if name == "capk" else parse_aid)(row)
    except (CapkError, ParameterError, TlvError) as e:
        raise FrameError(
            f"the acquirer's {name} {row[:20].hex()}... makes no sense: {e}"
        ) from None


def _entry(name: str, entry: str) -> str:
    """A card number, or a range of leading digits. Raises FrameError that repeats no number."""
    first, dash, last = entry.partition("-")
    good = (
        all(part.isascii() and part.isdigit() and 1 <= len(part) <= 10 for part in (first, last))
        if dash
        else entry.isascii() and entry.isdigit() and 8 <= len(entry) <= 19
    )
    if not good:
        raise FrameError(f"{name}: an entry is neither a card number nor a range")
    return entry
