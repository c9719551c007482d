# The printer driver on a simulated printer: what is on paper, and what is said when it is not.

import asyncio

from chips.escpos_paper import EscPosPaper
from drivers.escpos_printer import CUT, EscPosPrinter, PrinterError


def printed(printer, lines):
    """None if `lines` are on paper, else what the driver is told."""
    try:
        asyncio.run(printer.print(lines))
    except PrinterError as e:
        return str(e)
    return None


def test_text_and_prepared_chinese_are_on_paper():
    for realtime in (True, False):
        paper = EscPosPaper(realtime)
        chinese = b"\xb3\xf6\xd7\xe2\xb3\xb5"  # "taxi" in GB 18030
        assert printed(EscPosPrinter(paper), ["Taxi", chinese, "Fare 14.50 \u5143"]) is None
        assert paper.lines == [(b"Taxi", False), (chinese, True), (b"Fare 14.50 ?", False)]
        assert paper.fed == 4 and paper.cuts == 0 and paper.resets == 1


def test_other_commands_for_chinese_and_a_knife():
    paper = EscPosPaper()
    printer = EscPosPrinter(paper, (b"\x1bt\xff", b"\x1bt\x00"), CUT)
    assert printed(printer, [b"\xb3\xf6", "end"]) is None
    assert paper.lines == [(b"\xb3\xf6", True), (b"end", False)]
    assert paper.cuts == 1 and paper.fed == 0


def test_what_is_wrong_is_said_with_what_to_do():
    for name, value, words in (
        ("paper_left", 0, "no paper: put in"),
        ("cover_open", True, "cover open: close"),
        ("cutter_stuck", True, "cutter stuck: open"),
        ("defect", True, "repaired"),
        ("powered", False, "no answer: check its cable"),
        ("noise", b"\xff", "makes no sense: check its speed"),
    ):
        paper = EscPosPaper()
        setattr(paper, name, value)
        said = printed(EscPosPrinter(paper), ["x"])
        assert said and words in said, (name, said)
        assert paper.lines == []


def test_a_printer_without_realtime_status_still_says_no_paper():
    paper = EscPosPaper(False, paper_left=0)
    printer = EscPosPrinter(paper)
    assert "no paper" in printed(printer, ["x"])
    paper.put_paper_in()
    assert printed(printer, ["x"]) is None
    assert paper.lines == [(b"x", False)]


def test_paper_that_ends_in_the_middle_is_not_a_receipt():
    for realtime in (True, False):
        paper = EscPosPaper(realtime, paper_left=2)
        said = printed(EscPosPrinter(paper), ["1", "2", "3"])
        assert said and "no paper" in said, said
        assert len(paper.lines) == 2


def test_a_cover_opened_in_the_middle():
    class Opens(EscPosPaper):
        async def write(self, data):
            if b"1\n" in bytes(data):
                self.cover_open = True
            await EscPosPaper.write(self, data)

    paper = Opens()
    assert "cover open" in printed(EscPosPrinter(paper), ["1", "2"])
    assert paper.lines == []


def test_a_printer_that_was_off_is_asked_in_full_again():
    paper = EscPosPaper()
    printer = EscPosPrinter(paper)
    paper.powered = False
    assert "no answer" in printed(printer, ["x"])
    paper.powered = True
    paper.cover_open = True
    assert "cover open" in printed(printer, ["x"])


def test_any_answer_byte_is_good_or_a_printer_error():
    class Says(EscPosPaper):
        def _say(self, byte):
            self._answers.extend(self.noise)

    good = 0
    for byte in range(256):
        paper = Says()
        paper.noise = bytes((byte,))
        good += printed(EscPosPrinter(paper), ["x"]) is None
    assert good == 0  # no byte is an answer to both questions
