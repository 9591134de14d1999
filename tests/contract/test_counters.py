"""Counters are in their file even if the process is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from contract.counters import SERVICE, SHIPPER, Counters, read_counters


def test_counters_outlive_their_process(tmp_path: Path) -> None:
    path = tmp_path / "counters.bin"
    code = (
        "import os, signal; from contract.counters import *\n"
        f"counters = Counters(SERVICE, os.open({str(path)!r}, os.O_RDWR | os.O_CREAT))\n"
        "counters.add('recorded', 3); counters.add('lost'); counters.add('recorded')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for times in (1, 2):
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
        assert read_counters(path, SERVICE) == {**dict.fromkeys(SERVICE, 0), "recorded": 4 * times, "lost": times}


def test_counters_are_zero_without_a_file(tmp_path: Path) -> None:
    assert read_counters(tmp_path / "missing", SHIPPER) == dict.fromkeys(SHIPPER, 0)
    (tmp_path / "short").write_bytes(b"PGCOUNT1" + bytes([5]) + bytes(9))
    assert read_counters(tmp_path / "short", SHIPPER) == {**dict.fromkeys(SHIPPER, 0), "shipped": 5}
    (tmp_path / "other").write_bytes(b"x" * 100)
    assert read_counters(tmp_path / "other", SHIPPER) == dict.fromkeys(SHIPPER, 0)


def test_counters_count_in_memory_without_a_file() -> None:
    counters = Counters(SHIPPER)
    counters.add("damaged", 2)
    assert counters["damaged"] == 2
    assert counters.all() == {"shipped": 0, "segments": 0, "damaged": 2}


def test_a_mapped_file_has_its_blocks(tmp_path: Path) -> None:
    """Else adding on a full disk would end the process."""
    file = os.open(tmp_path / "counters.bin", os.O_RDWR | os.O_CREAT)
    Counters(SERVICE, file)
    assert os.fstat(file).st_blocks > 0
    os.close(file)
