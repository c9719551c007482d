"""What a call costs the unit: the one step that holds it up, and the bytes.

The TLS handshake's arithmetic is counted in instructions by callgrind on the unix port: it is the
longest time for which the unit does nothing else, and the reason why it is only made while nobody
is hired. The bytes are those that cross the line until the gateway has spoken.
"""

import json
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from flagfall_host.bench.firmware_build import build
from flagfall_host.bench.unit_process import MICROPYTHON, environment
from flagfall_host.depot.authority import certificate_file
from flagfall_host.depot.fleet import Fleet
from flagfall_host.gateway.keys_folder import GatewayKeys, make_gateway_folder

OUT = Path(__file__).parents[2] / "build" / "bench" / "uplink.json"
NAME = "gateway.bench"
GOAL_INSTRUCTIONS = 250_000_000
GOAL_BYTES = 2_500
_S = 240

CLIENT = """
import asyncio, json, socket, sys
from binascii import unhexlify
from drivers.tls_wire import TlsWire, client_context

async def main(port, path):
    with open(path) as f:
        fields = json.load(f)
    parts = [unhexlify(fields[n]) for n in ("certificate", "key", "authority")]
    stream, _ = await asyncio.open_connection("127.0.0.1", port)
    wire = TlsWire(stream.s, client_context(*parts), "gateway.bench")
    await wire.handshake(200000)
    wire.close()

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


class Counted:
    """A gateway's end of one connection, through a wire that counts: `up`, `down` bytes."""

    def __init__(self, keys: GatewayKeys) -> None:
        self.up = self.down = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._context = keys.tls()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(_S)
        come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(come, go, server_side=True)
        shaken = False
        while True:
            try:
                if not shaken:
                    tls.do_handshake()
                    shaken = True
                    tls.write(b"HELLO")
                else:
                    tls.read(100)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return
            out = go.read()
            self.down += len(out)
            connection.sendall(out)
            data = connection.recv(4096)
            if not data:
                return
            self.up += len(data)
            come.write(data)


def main() -> int:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fleet = Fleet.create(folder / "fleet", "bench")
        make_gateway_folder(fleet, folder / "gateway", [NAME])
        authority = fleet.authority()
        issued = authority.issue_unit("BENCH-1")
        (folder / "unit.json").write_bytes(certificate_file(authority, issued))
        (folder / "client.py").write_text(CLIENT)
        far = Counted(GatewayKeys.open(folder / "gateway"))
        subprocess.run(
            [
                *("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'cg'}"),
                *(MICROPYTHON, folder / "client.py", str(far.port), folder / "unit.json"),
            ],
            env=environment(build()),
            capture_output=True,
            timeout=_S,
            check=True,
        )
        said = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", folder / "cg"],
            capture_output=True,
            text=True,
            timeout=_S,
            check=True,
        ).stdout
    found = re.search(r"([\d,]+) \([^)]*\) .*:mbedtls_ssl_handshake \[", said)
    instructions = int(found[1].replace(",", "")) if found else 0
    carried = far.up + far.down
    rows = [
        {
            "name": "uplink: longest stall (TLS handshake, mutual P-256), x86-64 instructions",
            "goal": f"<= {GOAL_INSTRUCTIONS:,}",
            "figure": f"{instructions:,}",
            "met": 0 < instructions <= GOAL_INSTRUCTIONS,
        },
        {
            "name": "uplink: bytes of a handshake",
            "goal": f"<= {GOAL_BYTES:,}",
            "figure": f"{carried:,} ({far.up:,} up, {far.down:,} down)",
            "met": 0 < carried <= GOAL_BYTES,
        },
    ]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
