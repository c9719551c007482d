"""A recorded card: lines `> APDU` and `< response` in hex, anything else is a comment."""

from dataclasses import dataclass

from flagfall_host.emv.errors import BadCardInput, from_hex


@dataclass(frozen=True)
class Exchange:
    """One command and what the card answered; `response` is None if it left."""

    line: int
    command: bytes
    response: bytes | None


def parse(text: str, name: str = "transcript") -> list[Exchange]:
    """Read a transcript. Raises BadCardInput with the line."""
    exchanges: list[Exchange] = []
    command: tuple[int, bytes] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        where = f"{name} line {number}"
        if line.startswith(">"):
            if command is not None:
                exchanges.append(Exchange(command[0], command[1], None))
            data = from_hex(line[1:], where)
            if not 4 <= len(data) <= 261:
                raise BadCardInput(f"{where}: a short command has 4 to 261 bytes")
            command = number, data
        elif line.startswith("<"):
            if command is None:
                raise BadCardInput(f"{where}: an answer without a command before it")
            rest = line[1:].strip()
            response = None if rest.startswith("(") else from_hex(rest, where)
            if response is not None and len(response) < 2:
                raise BadCardInput(f"{where}: an answer ends in two status bytes")
            exchanges.append(Exchange(command[0], command[1], response))
            command = None
    if command is not None:
        exchanges.append(Exchange(command[0], command[1], None))
    if not exchanges:
        raise BadCardInput(f"{name}: no line of the form '> APDU in hex' in it")
    return exchanges
