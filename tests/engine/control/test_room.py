"""A full disk, for real: everything waits, says so, and goes on by itself when there is room."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from engine.control.room import shortage
from engine.records.workspace import Workspace
from tests.conftest import ROOT, SAMPLES, CommandLine, in_full_disk
from tests.engine.control.test_supervisor import outcome, results

# What happens on the small disk: launched, filled with a sweep in the middle of its training, and emptied again.
FILLED_AND_EMPTIED = """
import json, os, subprocess, sys, time
from pathlib import Path
from engine.control.ledger.lock import Lock
from engine.control.ledger.state_file import read_state
from engine.records.workspace import Workspace
from tests.conftest import end_supervisor, running, wait_until

root, sweep, how = Path.cwd() / "w", sys.argv[1], sys.argv[2]
kitui = [sys.executable, "-m", "kitui", "--workspace", str(root)]
workspace = Workspace(root)
subprocess.run([*kitui, "launch", sweep], check=True, stderr=subprocess.DEVNULL)
wait_until(lambda: len(list(root.glob("runs/*/result-*.json"))) > 0, 120)
if how == "bytes":
    filler = open("filler", "wb", buffering=0)
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        filler.close()
else:
    Path("many").mkdir()
    try:
        for number in range(10**6):
            (Path("many") / str(number)).touch()
    except OSError:
        pass
supervisor = Lock(workspace).holder().pid
time.sleep(12)
status = json.loads(subprocess.run([*kitui, "status", "--json"], capture_output=True, check=True).stdout)
alive = Lock(workspace).holder()
subprocess.run(["rm", "-rf", "filler", "many"], check=True)
emptied = time.monotonic()
wait_until(lambda: running(workspace) or all(r.status == "done" for r in read_state(workspace).runs.values()), 60)
went_on_after_s = time.monotonic() - emptied
wait_until(lambda: all(run.status == "done" for run in read_state(workspace).runs.values()), 200,
           lambda: {name: (run.status, run.reason) for name, run in read_state(workspace).runs.items()})
wait_until(lambda: not any(sweep.active for sweep in read_state(workspace).sweeps.values()), 60)
log = workspace.supervisor_log.read_text()
left = [str(path) for path in root.rglob("*.tmp")] + [str(path) for path in root.rglob("*.building")]
end_supervisor(workspace)
subprocess.run(["cp", "-r", str(root), sys.argv[3]], check=True)
print(json.dumps({
    "alerts": status["sweeps"][0]["alerts"], "same": alive is not None and alive.pid == supervisor,
    "went_on_after_s": went_on_after_s, "traceback": "Traceback" in log, "left": left,
    "failures": [run.failures for run in read_state(workspace).runs.values()],
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["bytes", "inodes"])
def test_a_full_disk_stops_nothing_for_good(trained: CommandLine, tmp_path: Path, how: str) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{FILLED_AND_EMPTIED}"
    size = "48m" if how == "bytes" else "48m,nr_inodes=1200"
    done = in_full_disk(disk, size, [sys.executable, "-c", script, str(SAMPLES / "smoke.toml"), how, str(kept)])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "nothing more is started until there is room" in found["alerts"][0]
    assert found["same"], "the supervisor died"
    assert found["went_on_after_s"] < 30
    assert not found["traceback"]
    assert found["left"] == []
    assert set(found["failures"]) == {0}
    again, before = results(Workspace(kept)), results(trained.workspace)
    assert {run_id: outcome(result) for run_id, result in again.items()} == {
        run_id: outcome(before[run_id]) for run_id in again
    }
    assert len(again) == 12


def test_a_disk_with_room_is_not_spoken_of(workspace: Workspace) -> None:
    assert shortage(workspace) is None


def test_of_a_small_disk_a_fiftieth_is_kept_free(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
        "from engine.control.room import shortage; from engine.records.workspace import Workspace; "
        "w = Workspace(Path.cwd()); print(shortage(w)); "
        "Path('filler').write_bytes(bytes(1_040_000)); print(shortage(w))"
    )
    done = in_full_disk(tmp_path, "1m", [sys.executable, "-c", script])
    before, after = done.stdout.splitlines()
    assert before == "None"
    assert "MB are free, of which 0.021 MB are kept" in after


def test_how_much_is_kept_free_is_a_setting(workspace: Workspace) -> None:
    settings = workspace.root / "workspace.toml"
    assert shortage(workspace) is None
    settings.write_text('reserve_bytes = "900T"')
    assert "of which 9e+08 MB are kept" in (shortage(workspace) or "")
    settings.write_text("reserve_bytes = 1")
    assert shortage(workspace) is None
    for text, words in (
        ("reserve_bites = 1", "Did you mean reserve_bytes?"),
        ("reserve_bytes = -1", "zero or more"),
        ("[", "not valid TOML"),
    ):
        settings.write_text(text)
        assert words in (shortage(workspace) or "")
