# A board on a strict fake of its chip, in the real MicroPython.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Run by test_boards.py, one function after the other in this order of names.

import asyncio
import socket
import time

import chip
import expect
import framebuf
import machine
import network
import pins
from board import Board
from chips.tm1637_chip import TM1637Chip
from drivers.clock_chip import ClockLost
from drivers.text_display import compose
from flagfall.clock import iso8601
from taxi_board import BoardError, mount_config, partition

_fare = TM1637Chip()
chip.wires[pins.FARE_CLOCK] = _fare.clock
chip.wires[pins.FARE_DATA] = _fare.data
_board = Board()
_bus = machine.I2C.made[pins.DISPLAY_I2C]
_panel = _bus.chips[0x3C]


def run(coroutine, ms=3000):
    return asyncio.run(asyncio.wait_for_ms(coroutine, ms))


def test_all_segments_are_lit_until_there_is_a_face():
    assert _fare.cells == b"\xff" * 6
    assert all(bytes(page) == b"\xff" * 128 for page in _panel.panel)
    assert _panel.on and _bus.chips[0x3D].on
    assert all(bytes(page) == b"\xff" * 128 for page in _bus.chips[0x3D].panel)
    _board.display.show({"position": "FOR HIRE"})
    assert _line(0) == _drawn("FOR HIRE")
    assert _fare_cells() != b"\xff" * 6


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
    assert _board.journal_flash.ioctl(4, 0) in (256, 1024)
    assert _board.journal_flash.ioctl(5, 0) == 4096
    assert _board.trips_flash.ioctl(4, 0) >= 16
    assert "no flash partition nothing" in str(expect.raises(BoardError, partition, "nothing"))


def test_start_formats_config_once_and_leaves_the_radio_alone():
    run(_board.start())
    assert not network.history
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


def test_tz_random_bytes_differ_and_are_seeded_from_the_radio():
    _board.random(1)
    assert network.history == [True, False]
    drawn = set(bytes(_board.random(32)) for _ in range(50))
    assert len(drawn) == 50
    assert [len(_board.random(n)) for n in (0, 1, 31, 33, 100)] == [0, 1, 31, 33, 100]


def _line(page):
    return bytes(_panel.panel[page])


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
    assert _panel.on and _panel.pump
    assert _line(1) == _drawn("FARE       14.50")
    assert _line(0) == _drawn("HIRED      09:05")
    before = _panel.pages_written
    later = dict(FACE)
    later["fare"] = 1600
    _board.display.show(later)
    assert _panel.pages_written == before + 1
    assert _line(1) == _drawn("FARE       16.00")


def test_face_survives_an_unplugged_panel():
    before = _board.display.faults
    _bus.unplugged.add(0x3C)
    _board.display.show({"position": "STOPPED"})
    assert _board.display.faults == before + 1
    _bus.unplugged.clear()
    _panel.power_up()
    _board.display.show({"position": "FOR HIRE", "roof_light": True})
    assert _panel.on
    assert _line(0) == _drawn("FOR HIRE")
    assert chip.levels[pins.ROOF_LIGHT] == 1
    _board.display.show(FACE)
    assert chip.levels[pins.ROOF_LIGHT] == 0


def _fare_cells():
    return bytes(_fare.cells[i] for i in (2, 1, 0, 5, 4, 3))


def test_fare_is_in_seven_segments_and_large_for_the_passenger():
    _board.display.show(FACE)
    assert _fare_cells() == bytes((0, 0, 0x06, 0x66 | 0x80, 0x6D, 0x3F))
    passenger = _bus.chips[0x3D]
    assert passenger.on
    # "14.50" ends in a 0: its upper bar is lit, its middle one is not.
    assert passenger.dot(113, 18) and not passenger.dot(113, 38)
    assert passenger.dot(92, 38)  # the middle bar of the 5
    assert bytes(passenger.panel[0])[:40] == _drawn("HIRED")[:40]


def test_lamp_test_lights_everything_and_gives_the_fare_back():
    _board.display.all_segments(True)
    _board.display.show(FACE)
    assert _fare.cells == b"\xff" * 6
    assert all(bytes(page) == b"\xff" * 128 for page in _panel.panel)
    assert all(bytes(page) == b"\xff" * 128 for page in _bus.chips[0x3D].panel)
    _board.display.all_segments(False)
    assert _fare_cells()[3] == 0x66 | 0x80
    assert _line(1) == _drawn("FARE       14.50")


def test_max7219_where_no_tm1637_answers():
    import fitted
    from chips.max7219_chip import MAX7219Chip

    other = MAX7219Chip()
    chip.wires[pins.FARE_CLOCK] = other.clock
    chip.wires[pins.FARE_DATA] = other.data
    chip.wires[pins.FARE_LOAD] = other.load
    fitted.fare_display(pins).show(FACE)
    assert other.cells == bytes((0, 0, 0, 0, 0x06, 0x66 | 0x80, 0x6D, 0x3F))


def test_clock_chip_is_kept_and_believed():
    _board.set_utc_s(848613875)
    assert _board.clock_fault is None
    assert _bus.chips[0x68].r[6] == 0x26
    _bus.chips[0x68].tick(60)
    _board._take_time()
    assert machine.RTC.set_to == (2026, 11, 21, 5, 22, 5, 35, 0)


def test_clock_that_was_lost_or_is_gone_is_said():
    _bus.chips[0x68].first_power()
    _board._take_time()
    assert "lost the time" in _board.clock_fault
    expect.raises(ClockLost, _board._clock_chip.read)
    _bus.unplugged.add(0x68)
    _board._take_time()
    assert "does not answer" in _board.clock_fault
    _board.set_utc_s(848613875)
    assert "does not answer" in _board.clock_fault
    _bus.unplugged.clear()
    _board.set_utc_s(848613875)
    assert _board.clock_fault is None


def test_pcf8563_is_taken_where_it_answers():
    import fitted
    from chips.pcf8563_chip import PCF8563Chip

    _bus.chips[0x51] = PCF8563Chip()
    assert fitted.clock_chip(_bus).name == "PCF8563"
    del _bus.chips[0x51]
    assert fitted.clock_chip(_bus).name == "DS3231"


def test_seal_supply_and_ignition():
    assert not _board.seal_open()
    chip.inputs[pins.SEAL] = 1
    for _ in range(4):
        run(_board.tick())
    assert _board.seal_open()
    chip.inputs[pins.SEAL] = 0
    for _ in range(4):
        run(_board.tick())
    assert not _board.seal_open()
    machine.ADC.made[pins.SUPPLY].uv = 787500
    assert 12590 <= _board.supply_mv() <= 12610
    assert not _board.ignition()
    _bus.chips[0x20].low.add(pins.IGNITION_LINE)
    assert _board.ignition()


def test_contactless_lights_hang_on_the_expander():
    async def tap():
        task = asyncio.create_task(_board.lights.run())
        _board.lights.show("ready")
        await asyncio.sleep_ms(20)
        one = [_bus.chips[0x20].level(n) for n in pins.LIGHT_LINES]
        _board.lights.show("read")
        await asyncio.sleep_ms(600)
        four = [_bus.chips[0x20].level(n) for n in pins.LIGHT_LINES]
        task.cancel()
        return one, four

    assert run(tap()) == ([0, 1, 1, 1], [0, 0, 0, 0])


def _press(row, column, scans=6):
    if hasattr(pins, "KEY_ROWS"):
        chip.pressed.add((pins.KEY_ROWS[row], pins.KEY_COLUMNS[column]))
    else:
        lines = (pins.KEY_ROW_LINES[row], pins.KEY_COLUMN_LINES[column])
        _bus.chips[0x20].shorts.add(lines)
    for _ in range(scans):
        _board._keypad.scan()


def _release():
    _let_go()
    for _ in range(6):
        _board._keypad.scan()


def _let_go():
    chip.pressed.clear()
    _bus.chips[0x20].shorts.clear()


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
        _let_go()
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
    from drivers.keypad import LAYOUT

    known = Keys(None, None, None, None, None)._does
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


def test_printer_says_what_is_wrong_on_its_uart():
    uart = machine.UART.made[pins.PRINTER_UART]
    uart.sent = bytearray()

    def on_write(data):
        if data == b"\x10\x04\x04":
            uart.coming.extend(b"\x72")

    uart.on_write = on_write
    error = expect.raises(OSError, run, _board.printer.print(["x"]), 5000)
    assert "no paper" in str(error)
    assert bytes(uart.sent) == b"\x10\x04\x04"


def test_reader_port():
    port = _board.reader_port()
    assert _board.reader_port() is port
    if not hasattr(pins, "READER_UART"):
        _reader_on_i2c(port)
        return
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


def _reader_on_i2c(bus):
    from drivers.reader import ReaderError

    assert bus is machine.I2C.made[pins.READER_I2C] and bus is not _bus
    bus.chips.clear()  # no reader there: that is said, and in time
    try:
        run(_board.make_reader(bus).open(), 20000)
    except ReaderError as e:
        assert str(e)
    else:
        raise AssertionError("opened a reader that is not there")


def test_the_pin_table_was_all_claimed():
    for name, gpio in pins.table():
        assert gpio in chip.owners, name


def test_the_fake_is_strict():
    for gpio in chip.TAKEN:
        expect.raises(chip.NotOnThisChip, machine.Pin, gpio)
    for gpio in chip.INPUT_ONLY:
        expect.raises(chip.NotOnThisChip, machine.Pin, gpio, machine.Pin.OUT)
    expect.raises(chip.NotOnThisChip, machine.Pin, 24)
    expect.raises(chip.NotOnThisChip, machine.Pin, pins.PRINTER_TX)
    expect.raises(ValueError, machine.UART, 3, 9600, tx=15, rx=16)
