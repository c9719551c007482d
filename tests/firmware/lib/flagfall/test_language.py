import io
import struct
from binascii import crc32

from expect import raises
from flagfall.language import Language, LanguageError, english

TEXTS = {"Sign in": "请签到", "Tap card: %d.%02d": "请刷卡：%d.%02d", "Cash": "现金"}
# Code point: GBK, from the tables of GB 18030.
PRINTED = {0x00B7: 0xA1A4, 0x7696: 0xCDEE, 0x73B0: 0xCFD6, 0x91D1: 0xBDF0}


def language_file(texts=TEXTS, printed=PRINTED, form=1, magic=b"FFLG"):
    """Written from docs/formats.md, not by the code under test."""
    rows = sorted((crc32(k.encode()), v.encode()) for k, v in texts.items())
    index = said = b""
    for crc, own in rows:
        index += struct.pack("<I", crc) + struct.pack("<HH", len(said), len(own))
        said += own
    characters = b"".join(struct.pack("<HH", c, printed[c]) for c in sorted(printed))
    head = magic + bytes((form, 0)) + struct.pack("<HH", len(rows), len(printed))
    return head + index + characters + said


def language(content, start=0):
    return Language(io.BytesIO(b"h" * start + content), start)


def test_every_text_is_found_and_others_are_not():
    for start in (0, 313):
        found = language(language_file(), start)
        for key, own in TEXTS.items():
            assert found.text(key) == own
        assert found.text("Sign out") is None and found.text("") is None


def test_a_line_for_the_printer_is_in_its_code():
    found = language(language_file())
    assert found.printed("现金 12.00") == b"\xcf\xd6\xbd\xf0 12.00"
    assert found.printed("皖A·1") == b"\xcd\xeeA\xa1\xa41"
    # As wide on paper as what it stands for; and no command for the printer goes through.
    assert found.printed("鑫\x1b@") == b"???@"


def test_an_empty_language_is_english():
    found = language(language_file({}, {}))
    found.check(len(language_file({}, {})))
    assert found.text("Sign in") is None and found.printed("金") == b"??"


def test_what_is_no_language_file_says_so():
    good = language_file()
    for bad in (b"", good[:9], language_file(magic=b"FFSG"), language_file(form=2)):
        raises(LanguageError, language, bad)


def test_a_file_that_was_cut_or_disordered_is_not_taken():
    good = language_file()
    language(good).check(len(good))
    for size in range(10, len(good)):
        raises(LanguageError, language(good[:size]).check, size)
    rows = good[10:34]
    for wrong in (
        good[:10] + rows[8:] + rows[:8] + good[34:],
        language_file(printed={0x91D1: 0x0A0D}),
        language_file({"Cash": "\x1b@"}),
    ):
        raises(LanguageError, language(wrong).check, len(wrong))


def test_no_damage_raises_anything_else():
    good = language_file()
    for at in range(len(good)):
        for flip in (0x01, 0x80, 0xFF):
            bad = bytearray(good)
            bad[at] ^= flip
            try:
                found = language(bytes(bad))
                found.check(len(bad))
                for key in TEXTS:
                    found.text(key)
                found.printed("现金")
            except LanguageError:
                pass


def test_english_is_filled_only_where_there_is_something_to_fill_in():
    assert english("80 % full: soon") == "80 % full: soon"
    assert english("%s, shift %d", "7", 2) == "7, shift 2"
