# The reference board on a strict fake of its chip, in the real MicroPython.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Run by test_reference_board.py, one function after the other in this order of names.

import asyncio
import socket
import time

import chip
import expect
import framebuf
import machine
import network
import pins
from board import Board, BoardError, mount_config, partition
from flagfall.clock import iso8601
from receipt_printer import PrinterError
from text_display import compose

_board = Board()
_i2c = _board.display._display._i2c


def run(coroutine, ms=3000):
    return asyncio.run(asyncio.wait_for_ms(coroutine, ms))


def test_counter_is_hardware_and_filtered():
    _board._counter.count = 123456
    assert _board.pulses() == 123456


def test_ticks_do_not_wrap():
    before = _board.ticks_ms()
    _board._last_ticks = time.ticks_add(_board._last_ticks, -400000000)
    assert 400000000 <= _board.ticks_ms() - before < 400001000
    _board._last_ticks = time.ticks_add(_board._last_ticks, -400000000)
    _board.ticks_ms()
    _board._last_ticks = time.ticks_add(_board._last_ticks, -400000000)
    assert _board.ticks_ms() > 1 << 30


def test_clock_is_set_in_utc():
    _board.set_utc_s(848613875)
    assert iso8601(848613875) == "2026-11-21T22:04:35Z"
    assert machine.RTC.set_to == (2026, 11, 21, 5, 22, 4, 35, 0)
    assert abs(_board.utc_s() - (int(time.time()) - 946684800)) <= 1


def test_partitions_have_the_sizes_the_journal_needs():
    assert _board.journal_flash.ioctl(4, 0) == 1024
    assert _board.journal_flash.ioctl(5, 0) == 4096
    assert _board.trips_flash.ioctl(4, 0) >= 16
    assert "no flash partition nothing" in str(expect.raises(BoardError, partition, "nothing"))


def test_start_formats_config_once_and_seeds_from_the_radio():
    run(_board.start())
    assert network.history == [True, False]
    with open(_board.files_root + "/settings.json", "w") as f:
        f.write("kept")
    import vfs

    vfs.umount("/config")
    mount_config()
    with open(_board.files_root + "/settings.json") as f:
        assert f.read() == "kept"
    vfs.umount("/config")
    config = partition("config")
    for block in (0, 1):
        config.writeblocks(block, bytes(4096))
    error = expect.raises(BoardError, run, _board.start())
    assert "damaged" in str(error)
    assert _line(0) == _drawn("FAULT")
    assert _line(5) == _drawn("config damaged: ")
    for block in (0, 1):
        config.ioctl(6, block)
    mount_config()


def test_tz_random_bytes_differ():
    drawn = set(bytes(_board.random(32)) for _ in range(50))
    assert len(drawn) == 50
    assert [len(_board.random(n)) for n in (0, 1, 31, 33, 100)] == [0, 1, 31, 33, 100]


def _line(page):
    return bytes(_i2c.panel[page])


def _drawn(text):
    dots = bytearray(128)
    framebuf.FrameBuffer(dots, 128, 8, framebuf.MONO_VLSB).text(text, 0, 0)
    return bytes(dots)


FACE = {
    "position": "HIRED",
    "clock": "09:05",
    "fare": 1450,
    "supplements": 100,
    "minor_digits": 2,
    "distance_mm": 3200000,
    "waiting_s": 65,
    "message": "",
    "roof_light": False,
}


def test_face_composed():
    lines = compose(FACE)
    assert lines[0] == "HIRED      09:05"
    assert lines[1] == "FARE       14.50"
    assert lines[2] == "EXTRA       1.00"
    assert lines[3] == "KM          3.20"
    assert lines[4] == "WAIT        1:05"
    no_minor = dict(FACE)
    no_minor["minor_digits"] = 0
    assert compose(no_minor)[1] == "FARE        1450"
    assert compose({"message": "\u51fa"})[5] == "?"
    assert all(len(line) <= 16 for line in compose({"message": "x" * 99, "position": "y" * 99}))


def test_face_reaches_the_panel():
    _board.display.show(FACE)
    assert _i2c.on and _i2c.pump
    assert _line(1) == _drawn("FARE       14.50")
    assert _line(0) == _drawn("HIRED      09:05")
    before = _i2c.pages_written
    later = dict(FACE)
    later["fare"] = 1600
    _board.display.show(later)
    assert _i2c.pages_written == before + 1
    assert _line(1) == _drawn("FARE       16.00")


def test_face_survives_an_unplugged_panel():
    _i2c.plugged = False
    _board.display.show({"position": "STOPPED"})
    assert _board.display._display.faults == 1
    _i2c.plugged = True
    _i2c.power_up()
    _board.display.show({"position": "FOR HIRE", "roof_light": True})
    assert _i2c.on
    assert _line(0) == _drawn("FOR HIRE")
    assert chip.levels[pins.ROOF_LIGHT] == 1
    _board.display.show(FACE)
    assert chip.levels[pins.ROOF_LIGHT] == 0


def _press(row, column, scans=6):
    chip.pressed.add((pins.KEY_ROWS[row], pins.KEY_COLUMNS[column]))
    for _ in range(scans):
        _board._keypad.scan()


def _release():
    chip.pressed.clear()
    for _ in range(6):
        _board._keypad.scan()


def test_keys_number_then_function():
    for row, column in ((0, 0), (3, 1), (1, 2)):  # 1, 0, 6
        _press(row, column)
        _release()
    assert _line(7) == _drawn("> 106")
    _press(4, 0)
    _release()
    assert run(_board.key()) == ("SIGN", "106")
    assert _line(7) == _drawn("")
    _press(0, 3)
    _release()
    assert run(_board.key()) == ("FOR_HIRE", "")


def test_keys_bounce_and_ghosts_count_once_or_not():
    for _ in range(5):  # bouncing contact: never steady
        _press(1, 3, scans=1)
        chip.pressed.clear()
        _board._keypad.scan()
    assert not _board._keypad._keys
    _press(1, 3)
    _press(2, 3)  # two at once: none counts
    _release()
    assert run(_board.key()) == ("HIRED", "")
    assert not _board._keypad._keys


def test_keys_are_bounded():
    for _ in range(20):
        _press(1, 3)
        _release()
    assert len(_board._keypad._keys) == 16
    assert _board._keypad.dropped == 4
    _board._keypad._keys.clear()


def test_all_the_keys_that_the_firmware_knows():
    from app.keys import Keys
    from keypad import LAYOUT

    known = Keys(None, None, None, None, None, None, None)._does
    there = [name for row in LAYOUT for name in row]
    for name in known:
        assert there.count(name) == 1, name
    for digit in "0123456789":
        assert there.count(digit) == 1, digit


def test_buzzer_plays_and_stops():
    async def play():
        task = asyncio.create_task(_board.buzzer.run())
        _board.buzzer.tone("again")
        await asyncio.sleep_ms(750)
        _board.buzzer.tone("no such tone")
        await asyncio.sleep_ms(20)
        task.cancel()

    pwm = _board.buzzer._pwm
    pwm.played.clear()
    run(play())
    assert (750, 32768) in pwm.played
    assert pwm.played[-1][1] == 0


def _printer(answers):
    """Let the printer on UART0 answer each GS r 1 with the next of `answers` (b"": silence)."""
    uart = machine.UART.made[pins.PRINTER_UART]
    uart.sent = bytearray()
    uart.coming = bytearray()
    left = list(answers)

    def on_write(data):
        if data.endswith(b"\x1dr\x01"):
            uart.coming.extend(left.pop(0) if left else b"")

    uart.on_write = on_write
    return uart


def test_receipt_is_on_paper():
    uart = _printer((b"\x00", b"\x03"))
    run(_board.printer.print(["Taxi", "Fare \u5143 14.50"]))
    assert b"Taxi\nFare ? 14.50\n" in uart.sent
    assert uart.sent.startswith(b"\x1b@")


def test_receipt_without_paper_or_printer():
    for answers, words in (
        ((b"\x0c",), "out of paper"),
        ((b"\x00", b"\x0c"), "out of paper"),
        ((b"\xff",), "makes no sense"),
        ((), "no answer"),
    ):
        _printer(answers)
        try:
            run(_board.printer.print(["x"]), 5000)
        except PrinterError as e:
            assert words in str(e), e
        else:
            raise AssertionError("printed without " + words)


def test_reader_port():
    port = _board.reader_port()
    assert _board.reader_port() is port
    uart = machine.UART.made[pins.READER_UART]
    assert uart.baudrate == 115200
    assert uart.rxbuf >= 2048

    async def talk():
        uart.coming.extend(b"stale")
        port.discard()
        began = time.ticks_ms()
        assert await port.read(10, 50) == b""
        assert 45 <= time.ticks_diff(time.ticks_ms(), began) < 1000
        uart.coming.extend(b"\x00\x00\xff\x00\xff\x00")
        assert await port.read(4, 0) == b"\x00\x00\xff\x00"
        assert await port.read(4, 100) == b"\xff\x00"
        data = bytes(range(256)) * 2
        await port.write(data)
        assert bytes(uart.sent) == data
        port.set_baud(921600)
        assert uart.baudrate == 921600
        port.set_baud(115200)

    run(talk())


def test_modem_key_and_its_line():
    async def press():
        task = asyncio.create_task(_board.press_modem_key(50))
        await asyncio.sleep_ms(10)
        down = chip.levels[pins.MODEM_POWER]
        await task
        return down, chip.levels[pins.MODEM_POWER]

    assert chip.levels[pins.MODEM_POWER] == 0  # at start: not pressed
    assert run(press()) == (1, 0)
    port = _board.modem_port()
    assert _board.modem_port() is port
    assert machine.UART.made[pins.MODEM_UART].baudrate == 115200


def _ppp_up(ppp, auth, user="", password="", after=2):
    """Bring it up as soon as it has been asked `after` times 100 ms."""

    async def up():
        task = asyncio.create_task(ppp.up(auth, user, password, 2000))
        await asyncio.sleep_ms(100 * after + 50)
        network.PPP.made[-1].connected = True
        await task
        return network.PPP.made[-1]

    return run(up())


def test_modem_ppp_comes_and_goes():
    ppp = _board.ppp(_board.modem_port())
    assert not run(ppp.alive())
    first = _ppp_up(ppp, "none")
    assert first.security == (0, None, None)
    assert first.stream is machine.UART.made[pins.MODEM_UART]
    assert run(ppp.alive())
    run(ppp.down())
    assert first.stream is None  # the AT commands have the UART again
    second = _ppp_up(ppp, "pap", "taxi", "secret")
    assert second is not first and second.security == (1, "taxi", "secret")
    assert _ppp_up(ppp, "chap", "taxi", "secret").security[0] == 2
    second = network.PPP.made[-1]
    second.connected = False  # the carrier
    assert not run(ppp.alive())
    try:
        run(ppp.connect("127.0.0.1", 9, 1000))
        raise AssertionError("connected without a call")
    except OSError as e:
        assert "no data call" in str(e)


def test_modem_ppp_that_does_not_come_up_is_bounded():
    ppp = _board.ppp(_board.modem_port())
    try:
        run(ppp.up("none", "", "", 300))
        raise AssertionError("up without an address")
    except OSError as e:
        assert "no address" in str(e)
    assert network.PPP.made[-1].stream is None


def test_modem_names_are_asked_for_without_waiting():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ppp = _board.ppp(_board.modem_port())
    _ppp_up(ppp, "none")
    for port in range(20053, 20153):
        try:
            s.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            break
        except OSError:
            continue
    s.setblocking(False)
    ppp.dns_port = port
    found = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x05"
    said = []

    def answered(data):
        return data[:2] + b"\x81\x80\x00\x01\x00\x01" + data[8:] + found

    def unknown(data):
        return data[:2] + b"\x81\x83" + data[4:]

    async def serve(answers):
        for answer in answers:
            while True:
                try:
                    data, peer = s.recvfrom(512)
                    break
                except OSError:
                    await asyncio.sleep_ms(5)
            said.append(data[12:])
            s.sendto(answer(data), peer)

    async def ask(name, *answers):
        task = asyncio.create_task(serve(answers))
        try:
            return await ppp._resolve(name)
        finally:
            task.cancel()

    assert run(ask("127.0.0.9")) == "127.0.0.9"
    assert run(ask("gateway.test", answered)) == "127.0.0.5"
    assert run(ask("gateway.test")) == "127.0.0.5"  # known while the call stands
    assert len(said) == 1
    try:
        run(ask("nobody.test", unknown))
        raise AssertionError("found")
    except OSError as e:
        assert "no such name" in str(e)
    s.close()


def test_the_pin_table_was_all_claimed():
    for name, gpio in pins.table():
        assert gpio in chip.owners, name


def test_the_fake_is_strict():
    expect.raises(chip.NotOnThisChip, machine.Pin, 35)
    expect.raises(chip.NotOnThisChip, machine.Pin, 22)
    expect.raises(chip.NotOnThisChip, machine.Pin, pins.READER_TX)
    expect.raises(ValueError, machine.UART, 3, 9600, tx=15, rx=16)
