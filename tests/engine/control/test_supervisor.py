"""The whole path with real training: what a launch leaves behind, and what kills, cancels and repeats do to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.control.ledger.lock import Lock
from engine.control.ledger.state_file import State, read_state
from engine.control.onhost import guard
from engine.control.status import status
from engine.control.supervisor import Supervisor
from engine.errors import DAMAGED
from engine.records.plan import read_plan
from engine.records.record import plain
from engine.records.results import RunResult, read_result
from engine.records.states import RunStatus
from engine.records.workspace import RunFolder, Workspace, read_json, write_json
from tests.checkpoints import save_preset
from tests.conftest import SAMPLES, CommandLine, end_supervisor, running, sweep_text, wait_until
from tests.factory import EVALUATION, make_exit, make_run, make_sweep


def results(workspace: Workspace) -> dict[str, RunResult]:
    found = {}
    for path in sorted((workspace.root / "runs").glob("*/result-*.json")):
        result = read_result(path)
        assert result is not None
        found[path.parent.name] = result
    return found


def outcome(result: RunResult) -> dict[str, Any]:
    """What a run measured, however it was carried out."""
    return {k: v for k, v in plain(result).items() if k not in ("execution", "attempt")}


def state_of(workspace: Workspace) -> State:
    return read_state(workspace)


def test_every_run_read_its_facts_as_often_as_planned(trained: CommandLine) -> None:
    row = trained.json("status", "smoke")["sweeps"][0]
    assert (row["cells"], row["done"], row["alerts"]) == (12, 12, [])
    for run_id, result in results(trained.workspace).items():
        assert result.exposures_as_planned, run_id
        frequency = int(run_id.split("-f")[1].split("-")[0])
        infused = result.exposures["infused"]
        assert infused.minimum == infused.maximum == frequency
        assert result.exposures["unseen"].maximum == 0


def test_the_supervisor_leaves_when_nothing_is_left_to_do(trained: CommandLine) -> None:
    wait_until(lambda: Lock(trained.workspace).holder() is None, 30)
    log = trained.workspace.supervisor_log.read_text()
    assert "Traceback" not in log
    assert trained.json("status")["supervisor"] == {"alive": False, "pid": None, "stopped": False}


def test_launching_again_trains_nothing(trained: CommandLine) -> None:
    before = {p: p.stat().st_mtime_ns for p in (trained.workspace.root / "runs").rglob("*") if p.is_file()}
    done = trained("launch", SAMPLES / "smoke.toml", "--watch")
    assert done.returncode == 0, done.stderr
    assert "0 runs queued, 12 of 12 already trained" in done.stderr
    assert done.stdout == trained.summary
    after = {p: p.stat().st_mtime_ns for p in (trained.workspace.root / "runs").rglob("*") if p.is_file()}
    assert after == before


def test_of_a_longer_sweep_only_the_new_cells_are_trained_and_deleted(
    trained: CommandLine, write_sweep: Callable[..., Path]
) -> None:
    before = results(trained.workspace)
    longer = write_sweep(name="longer.toml", infusion_frequency="[0, 4, 7, 12]")
    done = trained("launch", longer, "--watch")
    assert done.returncode == 0, done.stderr
    assert "4 runs queued, 12 of 16 already trained" in done.stderr
    after = results(trained.workspace)
    assert {run_id.split("-f")[1].split("-")[0] for run_id in after.keys() - before.keys()} == {"7"}
    assert len(after) == 16
    assert all(after[run_id] == result for run_id, result in before.items())

    asked = trained("delete", "longer")
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
    assert trained("archive", "longer").stderr == "archived\n"
    rows = {row["name"]: row["archived"] for row in trained.json("status")["sweeps"]}
    assert (rows["longer"], rows["smoke"]) == (True, False)
    assert trained("archive", "longer", "--undo").stderr == "back in the list\n"
    done = trained("delete", "longer", "--yes")
    assert done.stderr.startswith("deleted, with 4 runs that no other sweep wants: kitui undelete longer")
    assert results(trained.workspace) == before
    assert "longer" not in {row["name"] for row in trained.json("status")["sweeps"]}
    assert not trained.workspace.sweep("longer").root.exists()
    (trashed,) = trained.json("undelete")["trash"]
    assert (trashed["name"], trashed["runs"]) == ("longer", 4)
    assert not trained.json("clean", "--dry-run")["found"]  # what can be had back is no leftover
    assert trained("undelete", "longer").stderr == "longer back, with 4 runs\n"
    assert results(trained.workspace) == after
    assert trained("undelete").stdout == "the trash is empty\n"
    again = trained("launch", longer, "--watch")
    assert "0 runs queued, 16 of 16 already trained" in again.stderr
    done = trained("delete", "longer", "--yes", "--for-good")
    assert done.stderr == "deleted, with 4 runs that no other sweep wants\n"
    assert results(trained.workspace) == before
    missing = trained("undelete", "longer")
    assert (missing.returncode, "There is nothing in the trash." in missing.stderr) == (2, True)
    plan = read_plan(trained.workspace.sweep("smoke").plan)
    assert plan is not None
    assert trained.workspace.tokens(plan.tokens_id).exists()
    nothing = trained("delete", "longre", "--yes")
    assert (nothing.returncode, "no sweep has this name" in nothing.stderr) == (2, True)


@pytest.mark.slow
def test_a_cold_start_gives_the_numbers_of_a_warm_one(trained: CommandLine, tmp_path: Path) -> None:
    run_id, warm = next(iter(results(trained.workspace).items()))
    assert warm.execution.warm_start
    cold_workspace = Workspace(tmp_path / "cold")
    cold_workspace.create()
    for folder in ("tokens", "facts"):
        (cold_workspace.root / folder).rmdir()
        (cold_workspace.root / folder).symlink_to(trained.workspace.root / folder)
    cold = RunFolder(cold_workspace.root / "runs" / run_id)
    cold.root.mkdir()
    cold.spec.write_bytes(trained.workspace.run(run_id).spec.read_bytes())
    subprocess.run([sys.executable, "-m", "engine.training.run", str(cold.root)], check=True)
    result = read_result(next(cold.root.glob("result-*.json")))
    assert result is not None
    assert not result.execution.warm_start
    assert outcome(result) == outcome(warm)


def test_killed_supervisor_and_killed_runs_change_no_number(
    trained: CommandLine, kitui: CommandLine, write_sweep: Callable[..., Path]
) -> None:
    """Some of smoke.toml's cells again, in another workspace."""
    some = write_sweep(name="some.toml", seed="[1]", model_size='["nano-7k"]')
    done = kitui("launch", some, "--detach")
    assert done.returncode == 0, done.stderr
    workspace = kitui.workspace
    wait_until(lambda: running(workspace), 60)
    supervisor = Lock(workspace).holder()
    assert supervisor is not None
    wait_until(lambda: any(p.stat().st_size for p in workspace.root.glob("runs/*/metrics.jsonl")), 60)
    os.kill(supervisor.pid, signal.SIGKILL)
    # One run loses its guard; the others go on without the supervisor.
    victims = [r for r in running(workspace) if alive_guard(workspace, r)]
    assert victims
    os.kill(guard_of(workspace, victims[0])["pid"], signal.SIGKILL)
    wait_until(lambda: Lock(workspace).holder() is None, 10)
    watched = kitui("watch", "some")
    assert watched.returncode == 0, watched.stderr
    again, before = results(workspace), results(trained.workspace)
    assert len(again) == 3
    assert {r: outcome(v) for r, v in again.items()} == {r: outcome(before[r]) for r in again}
    attempts = {name: run.attempt for name, run in state_of(workspace).runs.items()}
    assert attempts[victims[0]] == 2
    wait_until(lambda: no_process_left(workspace), 5)  # a guard is there for a moment after its last word


LONG = {
    "num_tokens": '["6M"]', "every_tokens": '"20k"', "infusion_frequency": "[0, 12]", "seed": "[0]",
    "model_size": '["nano-7k"]', "batch_size": '8\nprecision = "fp32"',
}  # fmt: skip


@pytest.fixture(scope="module")
def of_long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Where `long` lives: in one workspace for all tests of it, for what takes time is to load torch."""
    line = CommandLine(tmp_path_factory.mktemp("long"))
    for file in ("facts.jsonl", "templates.toml"):
        (line.folder / file).symlink_to(SAMPLES / file)
    (line.folder / "long.toml").write_text(sweep_text(**LONG))
    yield line
    end_supervisor(line.workspace)


@pytest.fixture
def long(of_long: CommandLine) -> CommandLine:
    """A launched sweep of two runs that would take many minutes; both run, whatever the last test did to them."""
    done = of_long("launch", of_long.folder / "long.toml")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: states(of_long) == {"running": 2}, 90)
    runs = running(of_long.workspace)
    wait_until(lambda: all(alive_guard(of_long.workspace, r) for r in runs), 60)
    before = {r: last_step(of_long.workspace.run(r)) for r in runs}
    wait_until(lambda: all(last_step(of_long.workspace.run(r)) > before[r] for r in runs), 60)
    return of_long


@pytest.mark.xdist_group("long")
def test_cancel_and_retry(long: CommandLine) -> None:
    cancelled = long("cancel", "long")
    assert (cancelled.returncode, cancelled.stderr) == (0, "2 runs cancelled\n")
    wait_until(lambda: states(long) == {"cancelled": 2}, 30)
    wait_until(lambda: no_process_left(long.workspace), 5)  # a guard is there for a moment after its last word
    assert all(long.workspace.run(r).latest.exists() for r in state_of(long.workspace).runs)
    one = next(iter(state_of(long.workspace).runs))
    steps = last_step(long.workspace.run(one))
    retried = long("retry", one)
    assert (retried.returncode, retried.stderr) == (0, "1 run queued again\n")
    wait_until(lambda: last_step(long.workspace.run(one)) > steps, 60)
    assert first_step(long.workspace.run(one)) >= steps - 60  # from its checkpoint, not from the start

    # Cancelled and launched again before it could end: it is trained on.
    assert long("cancel", one).returncode == 0
    assert long("launch", long.folder / "long.toml").returncode == 0
    wait_until(lambda: states(long) == {"running": 2}, 60)
    wait_until(lambda: all(alive_guard(long.workspace, r) for r in running(long.workspace)), 30)
    assert not any(run.ending for run in state_of(long.workspace).runs.values())


@pytest.mark.slow
@pytest.mark.xdist_group("long")
def test_pause_and_resume(long: CommandLine) -> None:
    paused = long("pause", "long")
    assert (paused.returncode, paused.stderr) == (0, "2 runs paused\n")
    wait_until(lambda: states(long) == {"paused": 2}, 30)
    wait_until(lambda: no_process_left(long.workspace), 5)  # a guard is there for a moment after its last word
    assert long.json("status", "long")["sweeps"][0]["paused"] == 2
    wait_until(lambda: Lock(long.workspace).holder() is None, 30)  # nothing to do: it leaves
    one, other = state_of(long.workspace).runs
    steps = last_step(long.workspace.run(one))
    resumed = long("resume", one)
    assert (resumed.returncode, resumed.stderr) == (0, "1 run queued again\n")
    wait_until(lambda: last_step(long.workspace.run(one)) > steps, 60)
    assert first_step(long.workspace.run(one)) >= steps - 60
    assert state_of(long.workspace).runs[other].status == "paused"
    refused = long("delete", "long", "--yes")
    assert (refused.returncode, "kitui cancel long" in refused.stderr) == (2, True)
    assert long("launch", long.folder / "long.toml").returncode == 0  # asked for again as a whole
    wait_until(lambda: states(long) == {"running": 2}, 60)


def test_cancelling_while_runs_are_still_starting_ends_them(
    kitui: CommandLine, write_sweep: Callable[..., Path]
) -> None:
    path = write_sweep(name="long.toml", num_tokens='["3M"]', infusion_frequency="[0]", seed="[0]")
    assert kitui("launch", path).returncode == 0
    wait_until(lambda: running(kitui.workspace), 60)
    assert not list(kitui.workspace.root.glob("runs/*/guard.json"))
    assert kitui("cancel", "long").returncode == 0
    wait_until(lambda: states(kitui) == {"cancelled": 2}, 60)
    wait_until(lambda: no_process_left(kitui.workspace), 5)  # a guard is there for a moment after its last word


@pytest.mark.xdist_group("long")
def test_a_supervisor_asked_to_leave_lets_runs_go_on_and_the_next_adopts_them(long: CommandLine) -> None:
    holder = Lock(long.workspace).holder()
    assert holder is not None
    os.kill(holder.pid, signal.SIGTERM)
    wait_until(lambda: Lock(long.workspace).holder() is None, 20)
    guards = {r: guard_of(long.workspace, r)["pid"] for r in running(long.workspace)}
    for run_id in guards:  # it goes on
        metrics = long.workspace.run(run_id).metrics
        before = metrics.stat().st_size
        wait_until(lambda path=metrics, size=before: path.stat().st_size > size, 20)
    assert all(alive_guard(long.workspace, r) for r in guards)
    assert long("cancel", "long").returncode == 0  # starts the next one
    wait_until(lambda: states(long) == {"cancelled": 2}, 30)
    assert {r: guard_of(long.workspace, r)["pid"] for r in guards} == guards


@pytest.mark.xdist_group("long")
def test_a_stopped_supervisor_is_said_to_be_that_and_goes_on_or_is_replaced(long: CommandLine) -> None:
    holder = Lock(long.workspace).holder()
    assert holder is not None
    os.kill(holder.pid, signal.SIGSTOP)
    wait_until(lambda: holder.is_stopped, 5)
    began_s = time.monotonic()
    refused = long("cancel", "long")
    assert time.monotonic() - began_s < 20
    words = f"(process {holder.pid}) is stopped: kill -CONT {holder.pid} lets it go on"
    assert (refused.returncode, words in refused.stderr) == (3, True), refused.stderr
    assert not list(long.workspace.queue.iterdir())
    found = long.json("status")
    assert found["supervisor"] == {"alive": True, "pid": holder.pid, "stopped": True}
    assert words in found["sweeps"][0]["alerts"][0]
    assert long("restart-supervisor").returncode == 0
    wait_until(lambda: Lock(long.workspace).holder() not in (None, holder), 20)
    assert long("cancel", "long").returncode == 0


@pytest.mark.slow
def test_closing_the_terminal_stops_nothing(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    path = write_sweep(name="tiny.toml", infusion_frequency="[0]", model_size='["nano-3k"]')
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(kitui.folder)
        argv = [sys.executable, "-m", "kitui", "launch", str(path), "--watch"]
        os.execvpe(argv[0], argv, kitui.environment())
    seen = b""
    deadline = time.monotonic() + 90
    while b"running" not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert b"running" in seen
    assert status != 0  # hung up
    wait_until(lambda: states(kitui) == {"done": 2}, 90)


@pytest.mark.slow
def test_after_everything_was_killed_the_status_says_so_and_a_look_carries_on(
    kitui: CommandLine, trained: CommandLine
) -> None:
    assert kitui("launch", SAMPLES / "smoke.toml").returncode == 0
    started: list[Path] = []

    def both_train() -> bool:
        started[:] = [kitui.workspace.run(run_id).guard for run_id in running(kitui.workspace)]
        return len(started) == 2 and all(path.exists() for path in started)

    wait_until(both_train, 120)
    # As the power goes: all at once, the supervisor first, which else would notice.
    mine = [
        p for p in psutil.process_iter(["cmdline"]) if str(kitui.workspace.root) in " ".join(p.info["cmdline"] or [])
    ]
    holder = Lock(kitui.workspace).holder()
    assert holder is not None
    guards = [read_json(path)["pid"] for path in started]
    for pid in (holder.pid, *guards, *(p.pid for p in mine)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: Lock(kitui.workspace).holder() is None, 10)
    document = kitui.json("status")
    row = document["sweeps"][0]
    assert (row["running"], row["interrupted"], row["eta_s"]) == (0, 2, None)
    assert "2 runs are interrupted, and nothing carries it on" in row["alerts"][0]
    assert document["hosts"][0]["running"] == 0
    listed = [run["state"] for run in kitui.json("runs", "smoke")["runs"]]
    assert (listed.count("interrupted"), listed.count("running")) == (2, 0)
    assert "supervisor: not running: kitui watch starts one" in kitui("status").stdout
    done = kitui("watch", "smoke")
    assert done.returncode == 0, done.stderr
    before = results(trained.workspace)
    assert {r: outcome(x) for r, x in results(kitui.workspace).items()} == {r: outcome(before[r]) for r in before}


@pytest.mark.slow
def test_as_many_runs_at_once_as_slots(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    path = write_sweep(name="narrow.toml", infusion_frequency="[0]", num_tokens='["8k"]', prior_rate="1000")
    done = kitui("launch", path, "--slots", 1, "--watch")
    assert done.returncode == 0, done.stderr
    endings = [read_json(p) for p in kitui.workspace.root.glob("runs/*/exit.json")]
    times = sorted((e["started_s"], e["ended_s"]) for e in endings)
    assert len(times) == 4
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(times))


def test_a_preparation_that_fails_is_said_and_waited_for_no_longer(
    kitui: CommandLine, write_sweep: Callable[..., Path]
) -> None:
    path = write_sweep(name="dry.toml")
    path.write_text(path.read_text() + '\n[background]\nsource = "files"\npath = "text.txt"\nheldout_tokens = 0\n')
    (path.parent / "text.txt").write_text("Too little text.")
    done = kitui("launch", path, "--watch")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    if (kitui.workspace.root / "sweeps").exists():  # planned, and refused when it was prepared
        assert set(states(kitui)) == {"failed"}


def test_watching_results_from_elsewhere_says_how_they_stand(kitui: CommandLine) -> None:
    assert kitui("simulate", "--name", "sim").returncode == 0
    done = kitui("watch", "sim", timeout=30)
    assert done.returncode == 0
    assert "sim (simulated)" in done.stdout


def test_a_run_that_fails_by_itself_is_not_tried_again(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    start = kitui.folder / "start"
    save_preset(start, "nano-3k", rows=4096)
    weights = start / "model.safetensors"
    weights.write_bytes(weights.read_bytes().replace(b'"F32"', b'"F16"', 1))  # planning looks at no types
    path = write_sweep(name="bad.toml", infusion_frequency="[0]", seed="[0]", model_size='["nano-3k"]',
        batch_size=f'8\ninit_from = "{start}"')  # fmt: skip
    done = kitui("launch", path, "--watch")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert states(kitui) == {"failed": 1}
    (run,) = state_of(kitui.workspace).runs.values()
    assert run.attempt == 1
    assert str(start) in run.reason
    assert run.reason in done.stderr.replace("\n", " ")


def test_hours_are_booked_whatever_can_be_read_of_the_result(workspace: Workspace) -> None:
    supervisor = Supervisor(workspace)
    supervisor.ledger.put_run(make_run("one", "running", evaluation_id=EVALUATION))
    folder = workspace.run("one")
    folder.root.mkdir()
    write_json(folder.exit, plain(make_exit(elapsed_s=3600.0)))
    folder.result(EVALUATION).write_text("{")
    supervisor.notice_endings()
    run = supervisor.ledger.runs["one"]
    assert (run.status, run.used_s) == (RunStatus.FAILED, {"local": 3600.0})
    supervisor.ledger.close()


def test_a_damaged_result_hides_nothing_of_a_later_attempt(workspace: Workspace) -> None:
    """The attempt found its tokens damaged: they are made anew, whatever lies there of an earlier one."""
    supervisor = Supervisor(workspace)
    supervisor.ledger.put_run(make_run("one", "running", evaluation_id=EVALUATION))
    supervisor.ledger.put_sweep(make_sweep(["one"], prepared=True, max_attempts=3))
    folder = workspace.run("one")
    folder.root.mkdir()
    write_json(folder.exit, plain(make_exit(returncode=DAMAGED, reason="the tokens are damaged")))
    folder.result(EVALUATION).write_text("{")
    supervisor.notice_endings()
    run, sweep = supervisor.ledger.runs["one"], supervisor.ledger.sweeps["sweep"]
    assert (run.status, run.reason, sweep.prepared) == (RunStatus.QUEUED, "the tokens are damaged", None)
    supervisor.ledger.close()


def test_a_sweep_whose_folder_is_gone_is_left_with_the_reason(workspace: Workspace) -> None:
    supervisor = Supervisor(workspace)
    supervisor.ledger.put_run(make_run("one"))
    supervisor.ledger.put_sweep(make_sweep(["one"]))
    supervisor.leave_unreadable_sweeps()
    supervisor.preparing.keep_all()
    sweep = supervisor.ledger.sweeps["sweep"]
    assert (sweep.active, sweep.prepared, sweep.prepare_error) == (False, True, None)
    assert sweep.ended_s is not None
    assert "bundle is gone" in (sweep.analysis_error or "")
    supervisor.ledger.close()


def states(line: CommandLine) -> dict[str, int]:
    """How many cells of the only sweep are in which state; as `kitui status` has it, without a process of its own."""
    row = status(line.workspace, State(line.workspace)).sweeps[0]
    return {status.value: number for status, number in row.counts.items() if number}


def guard_of(workspace: Workspace, run_id: str) -> dict[str, Any]:
    identity = read_json(workspace.run(run_id).guard)
    assert identity is not None
    return dict(identity)


def alive_guard(workspace: Workspace, run_id: str) -> bool:
    return workspace.run(run_id).guard.exists() and is_alive(guard_of(workspace, run_id))


def is_alive(identity: dict[str, Any]) -> bool:
    return guard.is_alive(identity["pid"], identity["start_ticks"], identity["boot_id"])


def metrics(folder: RunFolder) -> list[dict[str, Any]]:
    if not folder.metrics.exists():
        return []
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


def last_step(folder: RunFolder) -> int:
    return max((r["step"] for r in metrics(folder)), default=0)


def first_step(folder: RunFolder) -> int:
    """Where the latest attempt began."""
    records = metrics(folder)
    latest = max(r["attempt"] for r in records)
    return min(int(r["step"]) for r in records if r["attempt"] == latest)


def no_process_left(workspace: Workspace) -> bool:
    """No guard of this workspace and no child of one is alive."""
    for path in (workspace.root / "runs").glob("*/guard.json"):
        identity = read_json(path)
        assert identity is not None
        if is_alive(identity) or (
            psutil.pid_exists(identity["child_pid"])
            and psutil.Process(identity["child_pid"]).status() != psutil.STATUS_ZOMBIE
            and str(path.parent) in " ".join(psutil.Process(identity["child_pid"]).cmdline())
        ):
            return False
    return True
