"""The fleet's CA and what it issues, held against OpenSSL."""

import json
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from flagfall_host.depot.authority import Authority, certificate_file
from flagfall_host.depot.fleet import SECRET_VARIABLE, Fleet, FleetError
from flagfall_host.gateway.keys_folder import GatewayKeys, make_gateway_folder, unit_of

pytestmark = pytest.mark.usefixtures("no_secret")


@pytest.fixture
def no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)


def openssl(*words: object) -> str:
    done = subprocess.run(
        ["openssl", *map(str, words)], capture_output=True, text=True, timeout=30
    )
    return done.stdout + done.stderr


def test_openssl_takes_the_certificates_for_their_purpose_only(tmp_path: Path):
    fleet = Fleet.create(tmp_path / "f")
    make_gateway_folder(fleet, tmp_path / "gw", ["gw.example", "10.0.0.7"])
    unit = tmp_path / "unit.pem"
    unit.write_bytes(fleet.authority().issue_unit("CAB-17").certificate_pem)
    ca = ("verify", "-x509_strict", "-CAfile", tmp_path / "f/authority.pem")
    gateway = tmp_path / "gw/gateway.pem"
    assert openssl(*ca, "-purpose", "sslserver", gateway).endswith("OK\n")
    assert openssl(*ca, "-purpose", "sslclient", unit).endswith("OK\n")
    for name in ("gw.example", "10.0.0.7"):
        kind = "-verify_ip" if name[0] == "1" else "-verify_hostname"
        assert openssl(*ca, kind, name, gateway).endswith("OK\n")
    assert "mismatch" in openssl(*ca, "-verify_hostname", "gw2.example", gateway)
    # Nobody who holds a unit's certificate can stand in for the gateway, nor sign another's.
    assert "unsuitable certificate purpose" in openssl(*ca, "-purpose", "sslserver", unit)
    assert "unsuitable certificate purpose" in openssl(*ca, "-purpose", "sslclient", gateway)
    assert "prime256v1" in openssl("x509", "-in", unit, "-noout", "-text")


def test_what_a_unit_is_given_names_it_and_its_ca(tmp_path: Path):
    authority = Fleet.create(tmp_path / "f").authority()
    issued = authority.issue_unit("CAB-17")
    fields = {
        k: bytes.fromhex(v) for k, v in json.loads(certificate_file(authority, issued)).items()
    }
    assert set(fields) == {"certificate", "key", "authority"}
    assert unit_of(fields["certificate"]) == "CAB-17"
    x509.load_der_x509_certificate(fields["certificate"]).verify_directly_issued_by(
        x509.load_der_x509_certificate(fields["authority"])
    )
    assert len(json.dumps(fields, default=bytes.hex)) < 2_048  # it goes over the cable often
    assert issued.key_der.hex() not in repr(issued)


def test_only_one_common_name_makes_a_unit(tmp_path: Path):
    authority = Fleet.create(tmp_path / "f").authority()
    two = x509.Name(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, cn) for cn in ("CAB-1", "CAB-2")]
    )
    key = authority._key
    certificate = (
        x509.CertificateBuilder(two, two, key.public_key(), 1)
        .not_valid_before(authority.certificate.not_valid_before_utc)
        .not_valid_after(authority.certificate.not_valid_after_utc)
        .sign(key, authority.certificate.signature_hash_algorithm)
    )
    from cryptography.hazmat.primitives.serialization import Encoding

    assert unit_of(certificate.public_bytes(Encoding.DER)) == ""


def test_a_gateways_folder_has_the_units_keys_and_not_the_offices(tmp_path: Path):
    fleet = Fleet.create(tmp_path / "f")
    make_gateway_folder(fleet, tmp_path / "gw", ["gw.example"])
    keys = GatewayKeys.open(tmp_path / "gw")
    assert keys.unit_key("CAB-1") == fleet.unit_key("CAB-1")
    assert {p.name for p in (tmp_path / "gw").iterdir()} == {
        "gateway.pem",
        "gateway-private.pem",
        "authority.pem",
        "master.key",
    }
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "gw").iterdir()} == {0o600}
    assert keys.left().days == 824
    before = (tmp_path / "gw/gateway.pem").read_bytes()
    make_gateway_folder(fleet, tmp_path / "gw", ["gw.example"], 30)  # renewed in its place
    assert (tmp_path / "gw/gateway.pem").read_bytes() != before
    assert GatewayKeys.open(tmp_path / "gw").left().days == 29
    keys.tls()


def test_a_sealed_authority_needs_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fleet = Fleet.create(tmp_path / "f", secret="a test secret")
    with pytest.raises(FleetError, match=SECRET_VARIABLE):
        fleet.authority()
    monkeypatch.setenv(SECRET_VARIABLE, "a test secret")
    make_gateway_folder(fleet, tmp_path / "gw", ["gw.example"])
    assert GatewayKeys.open(tmp_path / "gw").unit_key("A") == fleet.unit_key("A")
    monkeypatch.delenv(SECRET_VARIABLE)
    with pytest.raises(FleetError, match=SECRET_VARIABLE):
        GatewayKeys.open(tmp_path / "gw")


def test_an_authority_is_never_replaced_and_a_mixed_one_is_named(tmp_path: Path):
    Fleet.create(tmp_path / "a")
    Fleet.create(tmp_path / "b")
    with pytest.raises(FleetError, match="not replaced"):
        Authority.create(tmp_path / "a", "a")
    (tmp_path / "a/authority.pem").write_bytes((tmp_path / "b/authority.pem").read_bytes())
    with pytest.raises(FleetError, match="same backup"):
        Authority.open(tmp_path / "a")
    (tmp_path / "a/authority.pem").write_text("nonsense")
    with pytest.raises(FleetError, match="damaged"):
        Authority.open(tmp_path / "a")
    (tmp_path / "a/authority-private.pem").unlink()
    with pytest.raises(FleetError, match="flagfall fleet authority"):
        Authority.open(tmp_path / "a")


@pytest.mark.parametrize("name", ["", "-x", "a..b", "a b", "*.example", "x" * 65])
def test_bad_names_of_gateways(tmp_path: Path, name: str):
    fleet = Fleet.create(tmp_path / "f")
    with pytest.raises(FleetError, match="neither"):
        make_gateway_folder(fleet, tmp_path / "gw", [name])
    with pytest.raises(FleetError, match="at least one name"):
        make_gateway_folder(fleet, tmp_path / "gw", [])
