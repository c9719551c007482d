"""What an issuer writes into one application of a card: identity, limits, keys, signed data."""

from dataclasses import dataclass, field

from flagfall_host.bench.cards import keys, layout, rsa_certificates, sm2_certificates
from flagfall_host.bench.cards.tlv import dol, tlv

UNIONPAY_RID = "A000000333"
VISITOR_RID = "A000000003"

# CA indices of our own, beside which a unit may hold the scheme's test keys.
CA_INDEX = {
    "ca-1152": 0xF7,
    "ca-1408": 0xF8,
    "ca-1984": 0xF9,
    "ca-sm2": 0xFA,
    "ca-visitor": 0xFB,
    "ca-unknown": 0xFC,
}

_PDOL = (
    ("9F66", 4),
    ("9F02", 6),
    ("9F03", 6),
    ("9F1A", 2),
    ("95", 5),
    ("5F2A", 2),
    ("9A", 3),
    ("9C", 1),
    ("9F37", 4),
)
_CDOL1 = ("9F02", 6), ("9F03", 6), ("9F1A", 2), ("95", 5), ("5F2A", 2), ("9A", 3), ("9C", 1)


@dataclass(frozen=True)
class Chain:
    """The names of one chain of test keys and the layout in which it is personalised."""

    ca: str = "ca-1408"
    issuer: str = "issuer-1152"
    icc: str = "icc-1152"
    plan: layout.Layout = layout.SHORT
    issuer_serial: str = "000101"
    expiry: str = "1249"  # MMYY of both certificates


SM2_CHAIN = Chain("ca-sm2", "issuer-sm2", "icc-sm2", layout.SM2)


@dataclass(frozen=True)
class Personalisation:
    """One application. Amounts are in minor units of `currency`.

    `balance_shown` says which balance 9F5D and 9F10 carry in an approval: the one "before" its
    debit is committed, or "after" it. `form` is the first byte after 6A of the dynamic signature.
    """

    pan: str
    aid: str = UNIONPAY_RID + "010106"
    label: str = "FLAGFALL TEST"
    priority: int = 1
    psn: int = 1
    expiry: str = "491231"  # YYMMDD
    aip: bytes = b"\x7c\x00"
    version: str = "0030"  # 9F08
    currency: str = "0156"
    country: str = "0156"
    rsa: Chain | None = Chain()
    sm2: Chain | None = None
    ecash: bool = True
    oda: bool = False
    kernel3: bool = False
    kernel_id: str = ""  # 9F2A in the directory entry
    balance: int = 50000
    balance_cap: int = 100000  # 9F77
    transaction_cap: int = 50000  # 9F78
    reset_threshold: int = 1000  # 9F6D
    balance_shown: str = "before"
    form_approved: int = 0x05
    form_online: int = 0x05
    gives_9f69: bool = True
    spoils_signature: str = ""  # "block": does not open; "hash": opens, but signs other data
    changes_after_signing: dict[str, str] = field(default_factory=dict)
    wants_owner: bool = False
    blocked: bool = False
    pdol_extra: tuple[tuple[str, int], ...] = ()  # asked for besides, and not used
    log: tuple[int, int] = (11, 10)  # 9F4D: SFI and entries

    @property
    def pdol(self) -> tuple[tuple[str, int], ...]:
        sm2 = (("DF69", 1),) if self.sm2 else ()
        return (*self.pdol_extra, *sm2, *_PDOL)

    @property
    def track2(self) -> bytes:
        """Tag 57: PAN, D, YYMM, service code 220, padding."""
        digits = f"{self.pan}D{self.expiry[:4]}220"
        digits += "0" * (30 - len(digits))
        return bytes.fromhex(digits + "F" * (len(digits) % 2))

    def objects(self) -> dict[str, bytes]:
        """The static data objects by tag, certificates not yet among them."""
        cdol1 = dol(*_CDOL1, ("9F37", 4))
        return {
            "5A": bytes.fromhex(self.pan + "F" * (len(self.pan) % 2)),
            "5F20": b"FLAGFALL/TEST",
            "5F24": bytes.fromhex(self.expiry),
            "5F25": bytes.fromhex("200101"),
            "5F28": bytes.fromhex(self.country),
            "5F30": bytes.fromhex("0220"),
            "5F34": bytes([self.psn]),
            "57": self.track2,
            "8C": cdol1,
            "8D": bytes.fromhex("8A02") + cdol1,
            "8E": bytes.fromhex("00000000000000001F00"),
            "9F07": bytes.fromhex("FF00"),
            "9F08": bytes.fromhex(self.version),
            "9F0D": bytes.fromhex("D8603CA800"),
            "9F0E": bytes.fromhex("0010800000"),
            "9F0F": bytes.fromhex("D8683CF800"),
            "9F42": bytes.fromhex(self.currency),
            "9F49": bytes.fromhex("9F3704"),
            "9F4A": bytes.fromhex("82"),
            "9F74": b"ECC001",
        }

    def signed(self, chain: Chain) -> tuple[dict[str, bytes], layout.Layout]:
        """All static objects with the certificates of `chain`, and the layout that holds them."""
        objects = self.objects()
        objects["8F"] = bytes([CA_INDEX[chain.ca]])
        plan = chain.plan
        if chain is self.sm2:
            self._sign_sm2(chain, objects)
        else:
            if keys.rsa(chain.icc).size <= 128:
                plan = layout.without(plan, "9F4B")  # up to 1024 bit it is in the GPO answer
            self._sign_rsa(chain, objects)
        if not self.ecash:
            plan = layout.without(plan, "9F5D")
        for tag, value in self.changes_after_signing.items():
            objects[tag] = bytes.fromhex(value)
        return objects, plan

    def _sign_rsa(self, chain: Chain, objects: dict[str, bytes]) -> None:
        ca, issuer = keys.rsa(chain.ca), keys.rsa(chain.issuer)
        certificate = rsa_certificates.issuer_certificate(
            ca, issuer, self.pan[:6], chain.expiry, chain.issuer_serial
        )
        objects["90"], objects["9F32"] = certificate.signed, certificate.exponent
        if certificate.remainder:
            objects["92"] = certificate.remainder
        static = self._static(chain, objects)
        certificate = rsa_certificates.icc_certificate(
            issuer, keys.rsa(chain.icc), self.pan, chain.expiry, "000001", static
        )
        objects["9F46"], objects["9F47"] = certificate.signed, certificate.exponent
        if certificate.remainder:
            objects["9F48"] = certificate.remainder

    def _sign_sm2(self, chain: Chain, objects: dict[str, bytes]) -> None:
        ca, issuer = keys.sm2_key(chain.ca), keys.sm2_key(chain.issuer)
        objects["90"] = sm2_certificates.issuer_certificate(
            ca, issuer, self.pan[:6], chain.expiry, chain.issuer_serial
        )
        objects["9F46"] = sm2_certificates.icc_certificate(
            issuer,
            keys.sm2_key(chain.icc),
            self.pan,
            chain.expiry,
            "000001",
            self._static(chain, objects),
        )

    def _static(self, chain: Chain, objects: dict[str, bytes]) -> bytes:
        """The signed records' contents, and the AIP since 9F4A is 82."""
        signed = [r for group in chain.plan for r in group.records[: group.signed]]
        parts = [tlv(tag, objects[tag]) for r in signed for tag in r if tag in objects]
        return b"".join(parts) + self.aip
