"""Languages: complete against the firmware's own texts, and refused before they reach a unit."""

import ast
import io
import re
from pathlib import Path

import pytest
from flagfall import NOTICE, signed_file
from flagfall.language import Language, LanguageError
from flagfall.link.intake import MAX_FILE
from flagfall_host.depot.languages import (
    FOLDER,
    LanguageFileError,
    compile_language,
    names,
    translations,
)
from flagfall_host.depot.pushed_files import PushKind, read_pushed_file

FIRMWARE = Path(__file__).parents[3] / "firmware"
# The driver's own refusals; those of the link are for the office.
REFUSED = re.compile(r"^from app.meter import .*Refused|^class Refused\(Exception\)", re.M)
# Texts that are not written where they are said; each of these is looked at below.
SAID_ELSEWHERE = {
    "*why.args",  # Refused, of app/meter.py and those who raise it
    "*result.said",  # flagfall/emv/outcome.py
    "*why",  # no_cards() of app/warnings.py
    "*self.gravest()",
    "label",  # of a receipt's heading
    "NOTICE.upper()",
}


def said(tree: ast.AST, refusals: object) -> tuple[set[str], set[str]]:
    """(texts, other expressions) that are said, shown as a warning or printed."""
    texts, others = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("say", "warn", "words") or (refusals and name == "Refused"):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    texts.add(first.value)
                else:
                    others.add(ast.unparse(first))
        elif isinstance(node, ast.FunctionDef) and node.name in ("gravest", "no_cards"):
            texts |= {t for r in ast.walk(node) if isinstance(r, ast.Return) for t in returned(r)}
    return texts - {""}, others


def returned(node: ast.Return) -> list[str]:
    first = node.value.elts[:1] if isinstance(node.value, ast.Tuple) else []
    return [e.value for e in first if isinstance(e, ast.Constant)]


def constants_of(path: str, *wanted: str) -> set[str]:
    """All texts in the module's constants of these names."""
    tree = ast.parse((FIRMWARE / path).read_text(encoding="utf-8"))
    found = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in wanted
    ]
    assert len(found) == len(wanted), (path, wanted)
    out = set()
    for value in found:
        items = value.values if isinstance(value, ast.Dict) else [value]
        for item in items:
            for n in ast.walk(item):
                if isinstance(n, ast.Constant) and isinstance(n.value, str):
                    out.add(n.value)
    return out


@pytest.fixture(scope="module")
def spoken() -> set[str]:
    """Every text that the unit has for a driver or a passenger."""
    out = {NOTICE.upper(), *signed_file.KINDS, "k", "certificate"} - {"deny"}
    for path in FIRMWARE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        texts, others = said(tree, "link" not in path.parts and REFUSED.search(text))
        assert others <= SAID_ELSEWHERE, f"{path}: say a text, and what is filled in, apart"
        out |= texts
    out |= constants_of("lib/flagfall/emv/outcome.py", "_MESSAGES", "_DISPUTED")
    printer = ("NO_PAPER", "COVER_OPEN", "SILENT", "_NONSENSE", "_TROUBLE")
    out |= constants_of("drivers/escpos_printer.py", *printer)
    return out | {"Plate", "Certificate", "Phone"}


@pytest.fixture(scope="module")
def details() -> set[str]:
    """Plain texts of drivers' errors, which are filled into others; some are translated."""
    out = set()
    for path in (FIRMWARE / "drivers").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                out |= {a.value for a in node.exc.args if isinstance(a, ast.Constant)}
    return out | {text.split(":")[0] for text in out if isinstance(text, str)}


def test_chinese_says_all_that_the_firmware_says_and_nothing_else(spoken, details):
    chinese = set(translations("zh-CN"))
    assert len(spoken) > 120
    assert spoken - chinese == set(), "not translated"
    assert chinese - spoken - details == set(), "the firmware says this no more"


def test_all_that_the_firmware_says_is_ascii_and_fits(spoken):
    assert all(text.isascii() for text in spoken)


@pytest.mark.parametrize("name", names())
def test_a_language_of_the_project_is_taken_by_a_unit(name):
    content = compile_language(name, "鑫达出租 皖A·12345")
    assert len(content) < MAX_FILE // 2
    found = Language(io.BytesIO(content))
    found.check(len(content))
    for english, own in translations(name).items():
        assert found.text(english) == own
    for line in ("鑫达出租 皖A·12345", *(o for e, o in translations(name).items() if e == "Paid")):
        # The printer's font is that of GB 18030.
        assert found.printed(line).decode("gb18030") == line
    assert read_pushed_file(PushKind.LANGUAGE, name)[:4] == b"FFLG"


def test_english_is_what_the_unit_says_by_itself():
    assert translations("en") == {} and names() == ["en", "zh-CN"]


def written(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[screen]\n"Trip %d of %s" = "%s %d"', "in the same order: %d %s"),
        ('[screen]\n"Sign in" = "' + "签" * 25 + '"', "50 columns wide; 48 fit"),
        ('[receipt]\n"Fare" = "车费合计总金额元角"', "18 columns wide; 16 fit"),
        ('[receipt]\n"Fare" = "车\\u0007"', "control characters"),
        ('[receipt]\n"Fare" = "¥"', "U+00A5) is not in GBK"),
        ('[screen]\n"Fare" = 3', "lines of"),
        ('[screen]\n"Fare" = "车费"\n[receipt]\n"Fare" = "费"', "stands twice"),
        ('[display]\n"Fare" = "车费"', "display: only also_printed"),
        ("[screen", "cannot be read"),
    ],
)
def test_a_file_that_a_unit_could_not_speak_by_is_refused(tmp_path, text, words):
    with pytest.raises(LanguageFileError) as e:
        compile_language(written(tmp_path, text))
    assert words in str(e.value)


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(LanguageFileError, match="name a file or one of en, zh-CN"):
        compile_language("fr")


def test_a_translation_by_a_company_of_its_own(tmp_path):
    name = written(tmp_path, '[screen]\n"Sign in" = "Anmelden"')
    found = Language(io.BytesIO(compile_language(name)))
    assert found.text("Sign in") == "Anmelden"
    with pytest.raises(LanguageError):
        Language(io.BytesIO(b"")).check(0)
    assert FOLDER.name == "languages"
