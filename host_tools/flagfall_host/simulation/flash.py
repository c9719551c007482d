"""The bench's NOR flash on CPython: boards/bench/nor_flash.py, as it stands."""

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

from flagfall_host.simulation.firmware_modules import FIRMWARE

_PATH = Path(FIRMWARE).parent / "boards" / "bench" / "nor_flash.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("flagfall_nor_flash", _PATH)
    if spec is None or spec.loader is None:
        raise ImportError(str(_PATH))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_module = _load()
_module._time_us = functools.cache(_module._time_us)
BLOCK: int = _module.BLOCK
MODES: tuple[str, ...] = (_module.BEFORE, _module.TORN, _module.GARBAGE, _module.HALF_ERASE)


class NorFlash(_module.NorFlash):  # type: ignore[misc, name-defined]
    """`on_cut` is called when a planned cut comes; it does not return."""

    def __init__(self, size: int, seed: int) -> None:
        super().__init__(size=size, seed=seed)
        self.on_cut: Any = None

    def plan_cut(self, operations: int, mode: str) -> None:
        self.cut_after(operations, mode, lambda: self.on_cut())
