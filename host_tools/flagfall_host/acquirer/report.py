"""What an upload did, as JSON fields and as lines for a person."""

from typing import Any

from flagfall.receipt import money

from flagfall_host.acquirer.response_codes import words
from flagfall_host.acquirer.talk import UploadResult


def upload_fields(result: UploadResult) -> dict[str, Any]:
    """Amounts in minor units."""
    return {
        "accepted": result.accepted,
        "amount_minor": result.amount,
        "repeated": result.repeated,
        "refused": [
            {
                "unit": r.unit_id,
                "epoch": r.epoch,
                "seq": r.seq,
                "response": r.code,
                "amount_minor": r.amount,
                "deferred": r.deferred,
            }
            for r in result.refused
        ],
        "unreadable": result.unreadable,
    }


def upload_words(result: UploadResult) -> str:
    text = f"accepted: {result.accepted} taps, {money(result.amount)}"
    if result.repeated:
        text += f" ({result.repeated} were there already)"
    for r in result.refused:
        text += (
            f"\nrefused: unit {r.unit_id}, payment {r.seq} of epoch {r.epoch}, "
            f"{money(r.amount)}: response {words(r.code)}"
        )
        if r.deferred:
            text += "; it was authorised after the ride, so the fare is lost unless it is claimed"
    for why in result.unreadable:
        text += f"\nnot sent: {why}"
    return text
