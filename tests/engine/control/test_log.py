"""The supervisor's log never grows without bound, and nothing of it is lost on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from engine.control.log import put_aside

TALKS = """
import sys
from pathlib import Path
from engine.control.log import keep_bounded, say
for number in range(40):
    say(f"line {number}")
    print(number)
    keep_bounded(Path(sys.argv[1]), 400)
"""


def test_a_process_puts_its_own_log_aside_and_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "supervisor.log"
    with log.open("ab") as handle:
        subprocess.run([sys.executable, "-c", TALKS, str(log)], stdout=handle, stderr=handle, check=True)
    kept = (tmp_path / "supervisor.log.1").read_text() + log.read_text()
    assert log.stat().st_size <= 500
    assert (tmp_path / "supervisor.log.1").stat().st_size <= 500
    assert "line 39" in kept
    lines = [int(line.rpartition(" ")[2]) for line in kept.splitlines() if " line " in line]
    assert lines == list(range(lines[0], 40))


def test_what_is_no_file_is_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TALKS, str(tmp_path / "none")], capture_output=True, text=True, check=True
    )
    assert "line 39" in done.stderr
    assert not list(tmp_path.iterdir())
    assert not put_aside(tmp_path / "none")
