"""`flagfall bench reader`: a simulated reader chip on a pseudo-terminal, with a card before it."""

import threading
from typing import Annotated, Literal

import typer
from rich.console import Console

from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.pty_port import PtyPort
from flagfall_host.bench.reader.field import Exchange, Field
from flagfall_host.bench.reader.pn532 import PN532Chip


def reader(
    chip: Annotated[Literal["pn532"], typer.Option(help="The reader chip to play.")] = "pn532",
    card: Annotated[str, typer.Option(help="The card before its antenna; empty: no card.")] = "",
    kind: Annotated[
        Literal["A", "B"], typer.Option("--type", help="The card's ISO/IEC 14443 type.")
    ] = "A",
) -> None:
    """Serve a reader chip and a card on a pseudo-terminal until Ctrl-C.

    Each APDU is shown whole: the bench's cards (`flagfall emv cards`) hold test PANs only.
    \f
    Raises NoSuchCard.
    """
    console = Console(highlight=False, soft_wrap=True)
    field = Field()
    if card:
        field.place(catalogue.make(card, kind=kind))
    field.on_exchange = lambda exchange: _show(console, exchange)
    with PtyPort(PN532Chip(field)) as port:
        console.print(f"PN532 (HSU) on {port.path}, card: {card or 'none'}. Ctrl-C ends it.")
        console.print(f"libnfc: LIBNFC_DEFAULT_DEVICE=pn532_uart:{port.path} nfc-list -v")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            console.print(f"ended after {field.counters.apdus} APDUs")


def _show(console: Console, exchange: Exchange) -> None:
    console.print(f"> {exchange.command.hex().upper()}")
    if exchange.response is None:
        console.print("< (the card left)")
    else:
        console.print(f"< {exchange.response.hex().upper()}")
