# What does not change from tap to tap: the terminal's capabilities, keys and limits.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.emv import bcd

ECASH = 1  # offline purchase, the card answers with a TC
ODA = 2  # transit: ARQC and fDDA accepted offline, authorised later

ISSUER_CACHE = 8  # recovered issuer keys that are kept
ANSWER_CACHE = 8  # answers to SELECT that need not be read again, and as many of the PPSE


def _nobody(pan, psn=0):
    return False


class StoredLimits:
    """How much may wait for upload before taps are refused: payments, minor units, seconds."""

    def __init__(self, count=2000, amount=5000000, age_s=7 * 86400):
        self.count = count
        self.amount = amount
        self.age_s = age_s


class Terminal:
    """The unit as the card sees it.

    `country`, `currency`: ISO 3166 and ISO 4217 numeric. `aids`: list of AidParameters. `capks`: a
    CapkStore. `profiles`: what is offered, the preferred first. `oda_limit`: highest amount for
    transit ODA in minor units, None: each AID's offline limit. `ttq_mask`: 4 bytes, what of the
    terminal transaction qualifiers this terminal can do. `denied(pan_digits)`: True if the card
    is on the deny list. `seen(pan_digits, psn)`: True if the same card paid within the set time.
    `stored`: a StoredLimits. `balance_after_in_gpo`: True if the balance that cards send with
    the TC is the one after the payment. `sm2`: offer SM2 to dual-algorithm cards.
    """

    def __init__(
        self,
        country,
        currency,
        aids,
        capks,
        profiles=(ODA, ECASH),
        oda_limit=None,
        ttq_mask=b"\x29\xc0\x00\x80",
        capabilities=b"\x00\x08\xc8",
        additional_capabilities=b"\x60\x00\x00\x50\x01",
        terminal_type=0x23,
        serial=b"00000000",
        merchant_category=4121,
        merchant_name=b"TAXI",
        denied=_nobody,
        seen=_nobody,
        stored=None,
        balance_after_in_gpo=False,
        sm2=False,
    ):
        if len(ttq_mask) != 4 or len(capabilities) != 3 or len(serial) != 8:
            raise ValueError("TTQ mask has 4 bytes, capabilities 3, serial number 8")
        if not aids:
            raise ValueError("no application parameters (AIDs) are loaded")
        for profile in profiles:
            if profile not in (ECASH, ODA):
                raise ValueError("unknown profile")
        self.country = country
        self.currency = currency
        self.aids = list(aids)
        self.capks = capks
        self.profiles = tuple(profiles)
        self.oda_limit = oda_limit
        self.ttq_mask = bytes(ttq_mask)
        self.denied = denied
        self.seen = seen
        self.stored = StoredLimits() if stored is None else stored
        self.balance_after_in_gpo = balance_after_in_gpo
        self.sm2 = sm2
        self.issuer_keys = Cache(ISSUER_CACHE)
        # Cards of one issuer answer SELECT alike, byte by byte.
        self.directories = Cache(ANSWER_CACHE)
        self.applications = Cache(ANSWER_CACHE)
        # Fixed values for data object lists and for the record.
        self.values = {
            0x9F33: bytes(capabilities),
            0x9F40: bytes(additional_capabilities),
            0x9F35: bytes((terminal_type,)),
            0x9F1E: bytes(serial),
            0x9F1A: bcd.from_int(country, 2),
            0x5F2A: bcd.from_int(currency, 2),
            0x9F15: bcd.from_int(merchant_category, 2),
            0x9F4E: bytes(merchant_name),
            0x9F7A: b"\x01",
            0xDF69: b"\x01" if sm2 else b"\x00",
        }

    def signature_supported(self):
        return bool(self.ttq_mask[0] & 0x02)


class Cache:
    """What was read from some bytes, by these bytes or their hash; oldest out first.

    Issuer keys: a certificate that failed is not kept; expiry and revocation are checked at each
    use.
    """

    def __init__(self, size):
        self._size = size
        self._order = []
        self._kept = {}
        self.hits = 0
        self.misses = 0

    def get(self, key):
        result = self._kept.get(key)
        if result is None:
            self.misses += 1
        else:
            self.hits += 1
        return result

    def put(self, key, result):
        if key in self._kept:
            return
        if len(self._order) >= self._size:
            del self._kept[self._order.pop(0)]
        self._order.append(key)
        self._kept[key] = result

    def clear(self):
        """Forget all, as when CA keys are changed."""
        self._order = []
        self._kept = {}
