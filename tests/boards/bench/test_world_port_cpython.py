"""A bench unit ends with its bench, however that ends."""

import socket
import subprocess
from pathlib import Path

import pytest
from on_micropython import MICROPYTHON, micropython_environment

# Something else runs on, as the unit's own tasks do.
UNIT = """
import asyncio, sys
from world_port import WorldPort

async def main():
    port = WorldPort(sys.argv[1])
    task = asyncio.create_task(port.run())
    port.send_now("A 0")
    while True:
        await asyncio.sleep_ms(20)

asyncio.run(main())
"""


@pytest.mark.parametrize("unread", [False, True])
def test_the_unit_ends_when_the_bench_is_gone(tmp_path: Path, unread: bool) -> None:
    script, place = tmp_path / "one.py", str(tmp_path / "world")
    script.write_text(UNIT)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(1)
        unit = subprocess.Popen([MICROPYTHON, script, place], env=micropython_environment())
        try:
            world, _ = listener.accept()
            # What nobody has read when a program is killed makes its peer's next read fail.
            world.recv(100, socket.MSG_PEEK if unread else 0)
            world.close()
            assert unit.wait(20) == 0
        finally:
            unit.kill()
            unit.wait()
