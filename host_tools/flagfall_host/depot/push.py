"""Push: a file to the unit, resumed by offset, checked whole by the unit before it counts."""

import hashlib
from typing import Protocol

from flagfall.link import messages
from flagfall.link.intake import MAX_FILE

from flagfall_host.depot.at_once import at_once
from flagfall_host.depot.conversation import Conversation
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import LinkError, UnitFault, UnitRefused

PART_BYTES = 2_032  # with its offset and tag it fills a frame
MAX_LONG = 1 << 21  # bytes of a deny list or an update; they go to flash as they come
_LONG = ("deny", "firmware")
_TRIES = 3  # whole files sent, when the unit finds the SHA-256 wrong
_BUSY_S = 0.3  # between two questions while a card is read or a list is checked
_BUSY_TRIES = 600


class FileTooLong(LinkError):
    """More bytes than a unit takes."""


class NotAccepted(LinkError):
    """The unit finds that the file makes no sense; its old one stays in force."""


class Progress(Protocol):
    def __call__(self, sent: int, total: int) -> None: ...


def push(link: Link, kind: str, blob: bytes, progress: Progress | None = None) -> None:
    """Send `blob` as a file of `kind` (docs/formats.md section 7) and put it in force.

    A unit that reads a card, or checks a long list, is asked again until it is done. Raises
    FileTooLong, NotAccepted, UnitRefused.
    """
    at_once(push_over(link.talk, kind, blob, progress))


async def push_over(
    link: Conversation, kind: str, blob: bytes, progress: Progress | None = None
) -> None:
    """`push` over any carrier."""
    name = f"{link.wire.name}: {kind}"
    most = MAX_LONG if kind in _LONG else MAX_FILE
    if not 1 <= len(blob) <= most:
        raise FileTooLong(f"{name}: {len(blob)} bytes; a unit takes 1 to {most}")
    digest = hashlib.sha256(blob).digest()
    for last in (False,) * (_TRIES - 1) + (True,):
        try:
            await _send(link, kind, blob, digest, progress)
            await _ask(link, messages.COMMIT, messages.pack_str(kind))
            return
        except UnitRefused as e:
            if e.code == messages.NOT_ACCEPTED and not (_damaged(e) and not last):
                raise NotAccepted(
                    f"{name}: the unit does not accept the file: {e.text}. The old one stays in "
                    "force; mend the file and push it again"
                ) from e
            if last or e.text.startswith(f"{kind}:"):
                raise


def _damaged(e: UnitRefused) -> bool:
    """Whether the unit says that the file was damaged on its way: it is sent again."""
    return "send it again" in e.text


async def _ask(link: Conversation, type: int, payload: bytes) -> dict[str, object]:
    """A question, again while the unit is busy."""
    for last in (False,) * _BUSY_TRIES + (True,):
        try:
            return await link.ask(type, payload)
        except UnitRefused as e:
            if e.code != messages.BUSY or last:
                raise
            await link.pause(_BUSY_S)
    raise link.no_answer()


async def _send(
    link: Conversation, kind: str, blob: bytes, digest: bytes, progress: Progress | None
) -> None:
    announced = messages.pack_push(kind, len(blob), digest)
    offset = _offset(link, await _ask(link, messages.PUSH, announced))
    stalls = 0
    while offset < len(blob):
        if progress is not None:
            progress(offset, len(blob))
        part = blob[offset : offset + PART_BYTES]
        before = offset
        offset = _offset(link, await _ask(link, messages.PART, messages.pack_part(offset, part)))
        stalls = stalls + 1 if offset <= before else 0
        if stalls == _TRIES or offset > len(blob):
            raise UnitFault(f"{link.wire.name}: the unit asks for offset {offset} of {len(blob)}")
    if progress is not None:
        progress(len(blob), len(blob))


def _offset(link: Conversation, answer: dict[str, object]) -> int:
    offset = answer.get("offset")
    if not isinstance(offset, int) or offset < 0:
        raise UnitFault(f"{link.wire.name}: the unit names no offset in its answer")
    return offset
