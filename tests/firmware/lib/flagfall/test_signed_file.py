# Signed files: what holds, and that nothing else does.

from expect import raises
from flagfall.signed_file import MAX_HEADER, Header, SignedFileError, close, is_signed, to_sign
from signing_office import PUBLIC_KEY, signed

CONTENT = b'{"footer":["Thank you"]}'
FILE = signed("texts", CONTENT, 7, "CAB-17")


def check(data, kind="texts", unit_id="CAB-17"):
    header = Header(data)
    header.check(PUBLIC_KEY, kind, unit_id)
    return header


def test_what_the_office_signed_holds():
    header = check(FILE)
    assert (header.kind, header.unit_id, header.version) == ("texts", "CAB-17", 7)
    assert header.made == 825000000 and header.length == len(CONTENT)
    assert FILE[header.size :] == CONTENT and header.raw + CONTENT == FILE
    assert is_signed(FILE) and not is_signed(CONTENT) and not is_signed(b"")
    assert check(signed("deny", b"x"), "deny", "ANY-1").unit_id == ""


def test_another_kind_unit_or_version_0_does_not():
    assert "pushed as deny" in str(raises(SignedFileError, check, FILE, "deny"))
    assert "this is CAB-18" in str(raises(SignedFileError, check, FILE, "texts", "CAB-18"))
    raises(SignedFileError, check, signed("texts", CONTENT, 0))


def test_no_bit_of_a_header_may_differ():
    size = Header(FILE).size
    for at in range(size):
        for bit in (0, 3, 7):
            bad = bytearray(FILE)
            bad[at] ^= 1 << bit
            raises(SignedFileError, check, bytes(bad))


def test_every_cut_is_an_error_of_its_own_type():
    size = Header(FILE).size
    for n in range(size):
        raises(SignedFileError, Header, FILE[:n])
    Header(FILE[:size])


def test_absurd_lengths():
    head = to_sign("texts", "", 1, 0, 0, bytes(32))
    raises(SignedFileError, Header, close(head, bytes(513)))
    Header(close(head, bytes(512)))
    assert len(close(to_sign("k" * 16, "U" * 16, 1, 0, 0, bytes(32)), bytes(512))) <= MAX_HEADER
    raises(SignedFileError, Header, close(to_sign("k" * 17, "", 1, 0, 0, bytes(32)), b""))
    raises(SignedFileError, Header, close(to_sign("a b", "", 1, 0, 0, bytes(32)), b""))
