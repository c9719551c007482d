"""docs/contactless.md names code and tests: each of them exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "contactless.md").read_text(encoding="utf-8")
WORDS = re.findall(r"`([^`\n]+)`", TEXT)


def sources(*folders: str) -> list[Path]:
    return [file for folder in folders for file in (ROOT / folder).rglob("*.py")]


def test_every_test_that_it_names_exists() -> None:
    files = {file.stem for file in sources("tests")}
    functions = set()
    for file in sources("tests"):
        functions |= set(re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M))
    named = [w for w in WORDS if "test_" in w and " " not in w]
    assert len(named) > 40
    for word in named:
        if "/" in word:
            assert (ROOT / word).is_file(), word
            continue
        for part in word.replace("...", "*").split("."):
            start = part.rstrip("*")
            if start == part:
                assert part in files | functions, word
            else:
                assert any(f.startswith(start) for f in functions), word


def test_every_file_and_name_of_the_code_exists() -> None:
    files = sources("firmware", "host_tools")
    names = {file.name for file in files}
    text = "\n".join(f.read_text(encoding="utf-8") for f in files if "firmware" in f.parts)
    named = 0
    for word in WORDS:
        if re.fullmatch(r"\w+\.py", word):
            assert word in names, word
        elif re.fullmatch(r"\w+(\.\w+)?", word) and not word.startswith("test_"):
            last = word.rpartition(".")[2]
            if "_" not in last.strip("_") and "." not in word:
                continue  # a card, a tag, a word of the trade
            named += 1
            pattern = rf"(def|class) {last}\b|\b{last}\b *=|\.{last}\b"
            assert re.search(pattern, text), word
    assert named > 30
