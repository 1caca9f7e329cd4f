"""The state file: what it holds after kill −9, on a full disk, and under other readers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.ledger.ledger import Ledger
from engine.control.ledger.lock import STATE_FORMAT, Lock
from engine.control.ledger.state_file import State, read_state
from engine.errors import StateError
from engine.records.states import HostState, RunState, RunStatus, SweepState
from engine.records.workspace import Workspace
from tests.conftest import ROOT, in_full_disk, wait_until
from tests.factory import make_run, make_sweep

of_sweeps = {"active": st.booleans(), "slots": st.one_of(st.integers(0, 99), st.none()), "too_wide": st.text()}
of_runs = {"status": st.sampled_from(RunStatus), "attempt": st.integers(0, 99), "reason": st.text()}


def changes_of(
    table: str, fields: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[tuple[str, str, dict[str, Any]]]:
    changes = st.fixed_dictionaries({}, optional=fields).filter(bool)
    return st.tuples(st.just(table), st.sampled_from("abc"), changes)


@given(st.lists(st.one_of(changes_of("sweeps", of_sweeps), changes_of("runs", of_runs))))
def test_readers_see_what_was_put(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[str, str, dict[str, Any]]]
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    workspace.create()
    expected: dict[str, dict[str, dict[str, Any]]] = {"sweeps": {}, "runs": {}}
    ledger = Ledger(workspace)
    for table, name, changes in puts:
        expected[table].setdefault(name, {"name": name}).update(changes)
        document: SweepState | RunState
        if table == "runs":
            document = ledger.change_run(name)
        else:
            if name not in ledger.sweeps:
                ledger.put_sweep(SweepState(name=name))
            document = ledger.change_sweep(name)
        for field, value in changes.items():
            setattr(document, field, value)
    ledger.close()
    sweeps = {name: SweepState(**fields) for name, fields in expected["sweeps"].items()}
    runs = {name: RunState(**fields) for name, fields in expected["runs"].items()}
    state = read_state(workspace)
    assert (state.sweeps, state.runs) == (sweeps, runs)
    again = Ledger(workspace)
    assert (again.sweeps, again.runs) == (sweeps, runs)
    again.close()


def test_nothing_is_seen_before_a_flush_and_all_of_it_after(workspace: Workspace) -> None:
    ledger, state = Ledger(workspace), State(workspace)
    ledger.put_sweep(make_sweep(name="a"))
    ledger.put_run(make_run("b"))
    assert not state.refresh()
    ledger.flush()
    assert state.refresh()
    assert not state.refresh()
    assert (list(state.sweeps), list(state.runs)) == (["a"], ["b"])
    ledger.close()


WRITER = """
import sys
from pathlib import Path
from engine.control.ledger.ledger import Ledger
from engine.records.states import SweepState
from engine.records.workspace import Workspace
ledger = Ledger(Workspace(Path(sys.argv[1])))
ledger.put_sweep(SweepState(name="count"))
for i in range(1_000_000):
    ledger.change_sweep("count").priority = i
    for number in range(50):
        run = ledger.change_run(str(number))
        run.attempt, run.reason = i, "x" * 500
    ledger.flush()
"""


def has_written(state: State) -> bool:
    """Whether the writer has flushed a few times."""
    return state.refresh() and state.sweeps["count"].priority > 3


def test_runs_are_kept_in_the_order_they_were_put(workspace: Workspace) -> None:
    names = [f"nano-f{number}" for number in range(40)]
    ledger = Ledger(workspace)
    for name in names:
        ledger.put_run(make_run(name))
    ledger.close()
    assert [*read_state(workspace).runs] == names


def test_a_writer_killed_in_the_middle_leaves_a_whole_state(workspace: Workspace) -> None:
    for pause_s in (0.0, 0.013, 0.031, 0.057):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(workspace.root)], cwd=ROOT)
        wait_until(partial(has_written, State(workspace)), 60)
        time.sleep(pause_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        state = read_state(workspace)
        # All of one flush, nothing of the next.
        assert {run.attempt for run in state.runs.values()} == {state.sweeps["count"].priority}
        assert len(state.runs) == 50
        workspace.state.unlink()


FILLER = """
import errno
from pathlib import Path
from engine.control.ledger.ledger import Ledger
from engine.control.ledger.state_file import State
from engine.records.workspace import Workspace
workspace = Workspace(Path("w"))
workspace.create()
ledger = Ledger(workspace)
ledger.change_run("first").reason = "kept"
ledger.flush()
ledger.change_run("second").reason = "x" * 400_000
try:
    ledger.flush()
except OSError as error:
    assert error.errno == errno.ENOSPC
    print("full")
state = State(workspace)
state.refresh()
print(sorted(state.runs), sorted(ledger.runs))
ledger.change_run("second").reason = "short"
ledger.flush()
state.refresh()
print(sorted(state.runs))
"""


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    argv = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-c", FILLER]
    done = in_full_disk(tmp_path, "256k", argv)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["full", "['first'] ['first', 'second']", "['first', 'second']"]


def test_one_writer_at_a_time_and_the_other_is_named(workspace: Workspace) -> None:
    script = WRITER.replace("range(1_000_000)", "range(10_000_000)")
    writer = subprocess.Popen([sys.executable, "-c", script, str(workspace.root)], cwd=ROOT)
    wait_until(lambda: Lock(workspace).holder(), 60)
    with pytest.raises(StateError, match=f"process {writer.pid} on ") as refused:
        Ledger(workspace)
    assert refused.value.exit_code == 3
    writer.kill()
    writer.wait()
    # Whoever died holds nothing.
    assert Lock(workspace).holder() is None
    Ledger(workspace).close()


def test_a_holder_on_another_machine_is_believed(workspace: Workspace) -> None:
    with Lock(workspace):
        holder = Lock(workspace).holder()
        assert holder is not None
        assert holder.pid == os.getpid()
    workspace.supervisor_lock.write_text('{"host": "elsewhere", "pid": 1, "start_ticks": 1, "boot_id": ""}')
    holder = Lock(workspace).holder()
    assert holder is not None
    assert holder.host == "elsewhere"


@pytest.mark.parametrize(
    "content", ["{", '{"runs": {"1": {"name": "one", "state": "unheard of"}}, "format": {"1": {"version": 2}}}']
)
def test_a_file_that_is_no_state_says_so(workspace: Workspace, content: str) -> None:
    workspace.state.write_text(content)
    with pytest.raises(StateError, match="not readable"):
        State(workspace).refresh()
    with pytest.raises(StateError, match="not readable"):
        Ledger(workspace)


FIRST_FORMAT = {
    "sweeps": {
        "1": {
            "name": "oldest", "active": False, "run_ids": ["two"], "evaluation_id": "e", "slots": None,
            "max_attempts": 3, "prepared": True, "prepare_error": None, "launched_s": 4.0, "ended_s": 6.0,
            "eta_at_s": None, "analysis_error": None, "hosts": None,
        },
        "2": {
            "name": "a", "active": True, "run_ids": ["one", "two"], "evaluation_id": "e", "slots": 2,
            "hosts": ["gpu1"], "priority": 1, "caps": {"gpu1": 2.0}, "asked_s": 5.0, "host_faults": {},
            "max_attempts": 3, "prepared": True, "ready_here": False, "most_processes": 2, "prepare_error": None,
            "launched_s": 5.0, "ended_s": None, "eta_at_s": 9.0, "eta_between_s": [8.0, 10.0], "archived": False,
            "paused": False, "analysis_error": None,
        },
    },
    "runs": {
        "1": {
            "name": "one", "state": "running", "attempt": 2, "failures": 1, "reason": "", "results": {},
            "host": "gpu1", "slot": "gpu:0+gpu:1", "num_processes": 2, "started_s": 7.0, "evaluation_id": "e",
            "ending": "paused", "requeue": None, "waiting": "", "used_s": {"gpu1": 3.0}, "trained_on": "gpu1",
        },
        "2": {"name": "two", "state": "queued", "attempt": 0, "failures": 0, "reason": "", "results": {}},
    },
    "hosts": {
        "1": {
            "name": "gpu1", "kind": "ssh", "slots": 2, "unreachable_since_s": None, "fault": "", "drained": True,
            "failed": ["one"],
        },
    },
}  # fmt: skip


def test_the_state_of_an_older_kitui_is_read_and_written_in_todays_format(workspace: Workspace) -> None:
    workspace.state.write_bytes(orjson.dumps(FIRST_FORMAT))
    oldest = SweepState(
        name="oldest", run_ids=("two",), evaluation_id="e", max_attempts=3, prepared=True, launched_s=4.0, ended_s=6.0
    )
    sweep = SweepState(
        name="a", active=True, run_ids=("one", "two"), evaluation_id="e", slots=2, hosts=("gpu1",), priority=1,
        caps={"gpu1": 2.0}, asked_s=5.0, max_attempts=3, prepared=True, most_processes=2, launched_s=5.0,
        eta_at_s=9.0, eta_between_s=(8.0, 10.0),
    )  # fmt: skip
    one = RunState(
        name="one", status=RunStatus.RUNNING, attempt=2, failures=1, host="gpu1", slot="gpu:0+gpu:1",
        num_processes=2, started_s=7.0, evaluation_id="e", ending="paused", used_s={"gpu1": 3.0}, trained_on="gpu1",
    )  # fmt: skip
    sweeps, runs = {"oldest": oldest, "a": sweep}, {"one": one, "two": RunState(name="two")}
    hosts = {"gpu1": HostState(name="gpu1", slots=2, drained=True, failed=("one",))}
    state = read_state(workspace)  # a reader changes nothing
    assert (state.sweeps, state.runs, state.hosts) == (sweeps, runs, hosts)
    assert orjson.loads(workspace.state.read_bytes()) == FIRST_FORMAT
    ledger = Ledger(workspace)
    assert (ledger.sweeps, ledger.runs, ledger.hosts) == (sweeps, runs, hosts)
    ledger.change_run("two").attempt = 1
    ledger.close()
    assert orjson.loads(workspace.state.read_bytes())["format"] == {"1": {"version": STATE_FORMAT}}
    runs["two"].attempt = 1
    again = read_state(workspace)
    assert (again.sweeps, again.runs, again.hosts) == (sweeps, runs, hosts)


def test_the_state_of_a_newer_kitui_is_refused_and_left_alone(workspace: Workspace) -> None:
    content = orjson.dumps({"format": {"1": {"version": STATE_FORMAT + 1}}, "runs": {"1": {"name": 7}}})
    workspace.state.write_bytes(content)
    words = rf"a newer kitui has written it \(format {STATE_FORMAT + 1}; this one reads up to {STATE_FORMAT}\)"
    with pytest.raises(StateError, match=words):
        read_state(workspace)
    with pytest.raises(StateError, match=words):
        Ledger(workspace)
    assert workspace.state.read_bytes() == content
