"""What DE39 says, in words, for people (ISO 8583). What is done about it is in the profile."""

MEANINGS = {
    "00": "approved",
    "01": "call the issuer",
    "03": "no such merchant",
    "04": "keep the card",
    "05": "do not honour",
    "12": "no such transaction",
    "13": "wrong amount",
    "14": "no such card",
    "15": "no such issuer",
    "30": "format error",
    "33": "expired card, keep it",
    "34": "suspected fraud",
    "36": "restricted card",
    "41": "lost card",
    "43": "stolen card",
    "45": "chip needed",
    "51": "not enough money",
    "54": "expired card",
    "57": "not allowed for this card",
    "58": "not allowed at this terminal",
    "59": "suspected fraud",
    "61": "amount over the limit",
    "62": "restricted card",
    "65": "used too often",
    "77": "sign in first",
    "91": "issuer not there",
    "94": "there already",
    "96": "system error",
    "97": "no such terminal",
    "98": "issuer did not answer",
    "A0": "MAC wrong",
}


def words(code: str) -> str:
    """`51 (not enough money)`; an unknown code stands alone."""
    meaning = MEANINGS.get(code)
    return f"{code} ({meaning})" if meaning else code or "missing"
