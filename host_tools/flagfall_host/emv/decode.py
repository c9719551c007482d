"""A tree of BER-TLV with names, bits and meanings."""

from dataclasses import dataclass, field

from flagfall.emv.tlv import MAX_DEPTH, TlvError, header, is_constructed

from flagfall_host.emv import bit_meanings, tag_names
from flagfall_host.emv.errors import BadCardInput

_DEEPEST = MAX_DEPTH + 4


@dataclass
class Node:
    """One data object; `children` if it is a template."""

    tag: int
    offset: int
    value: bytes
    meanings: list[str]
    children: list["Node"] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        out: dict[str, object] = {
            "tag": f"{self.tag:02X}",
            "name": tag_names.name(self.tag),
            "offset": self.offset,
            "length": len(self.value),
            "value": self.value.hex().upper(),
        }
        if self.meanings:
            out["meanings"] = self.meanings
        if self.children:
            out["children"] = [child.as_json() for child in self.children]
        return out


def decode(data: bytes) -> tuple[list[Node], bytes | None]:
    """Return the tree, and the status word if `data` is a whole card answer.

    Two bytes 9000 or 6xxx at the end are a status word if what is before them is well formed: an
    empty issuer certificate (tag 90, length 0) at the end makes no sense. Raises BadCardInput
    with the offset of the fault.
    """
    if data[-2:] == b"\x90\x00" or (len(data) >= 2 and data[-2] >> 4 == 6):
        try:
            return _level(data, 0, len(data) - 2, 0), data[-2:]
        except BadCardInput:
            pass
    return _level(data, 0, len(data), 0), None


def _level(data: bytes, at: int, end: int, depth: int) -> list[Node]:
    nodes = []
    while at < end:
        if data[at] == 0:
            at += 1
            continue
        try:
            tag, start, stop = header(data, at, end)
        except TlvError as e:
            raise BadCardInput(f"no TLV at byte {at}: {e}") from e
        value = data[start:stop]
        node = Node(tag, at, value, [])
        if is_constructed(tag):
            if depth >= _DEEPEST:
                raise BadCardInput(f"templates nested too deep at byte {at}")
            node.children = _level(data, start, stop, depth + 1)
        else:
            node.meanings = bit_meanings.meanings(tag, value, tag_names.form(tag))
        nodes.append(node)
        at = stop
    return nodes


def lines(nodes: list[Node], depth: int = 0) -> list[str]:
    """The tree as indented text."""
    out = []
    for node in nodes:
        indent = "  " * depth
        head = f"{indent}{node.tag:02X} {tag_names.name(node.tag)} ({len(node.value)})"
        if node.children:
            out.append(head)
            out.extend(lines(node.children, depth + 1))
        else:
            out.append(f"{head}: {node.value.hex().upper()}" if node.value else head)
            out.extend(f"{indent}    {meaning}" for meaning in node.meanings)
    return out
