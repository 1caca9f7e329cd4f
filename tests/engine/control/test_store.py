"""The state file: what it holds after kill −9, on a full disk, and under other readers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.store import Lock, State, Store
from engine.errors import StateError
from engine.records.workspace import Workspace
from tests.conftest import ROOT, in_full_disk, wait_until

fields = st.dictionaries(
    st.sampled_from(["state", "attempt", "reason"]), st.one_of(st.integers(0, 99), st.text(), st.none()), min_size=1
)


@given(st.lists(st.tuples(st.sampled_from(["sweeps", "runs"]), st.sampled_from("abc"), fields)))
def test_readers_see_what_was_put(tmp_path_factory: pytest.TempPathFactory, puts: list) -> None:  # type: ignore[type-arg]
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    workspace.create()
    expected: dict[str, dict[str, dict[str, object]]] = {"sweeps": {}, "runs": {}}
    store = Store(workspace)
    for table, name, changes in puts:
        store.put(table, name, **changes)
        expected[table].setdefault(name, {"name": name}).update(changes)
    store.close()
    state = State(workspace)
    state.refresh()
    assert {"sweeps": state.sweeps, "runs": state.runs} == expected
    again = Store(workspace)
    assert {"sweeps": again.sweeps, "runs": again.runs} == expected
    again.close()


def test_nothing_is_seen_before_a_flush_and_all_of_it_after(workspace: Workspace) -> None:
    store, state = Store(workspace), State(workspace)
    store.put("sweeps", "a", active=True)
    store.put("runs", "b", state="queued")
    assert not state.refresh()
    store.flush()
    assert state.refresh()
    assert not state.refresh()
    assert (list(state.sweeps), list(state.runs)) == (["a"], ["b"])
    store.close()


WRITER = """
import sys
from pathlib import Path
from engine.control.store import Store
from engine.records.workspace import Workspace
store = Store(Workspace(Path(sys.argv[1])))
for i in range(1_000_000):
    store.put("sweeps", "count", n=i)
    for run in range(50):
        store.put("runs", str(run), n=i, text="x" * 500)
    store.flush()
"""


def test_a_writer_killed_in_the_middle_leaves_a_whole_state(workspace: Workspace) -> None:
    for pause_s in (0.0, 0.013, 0.031, 0.057):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(workspace.root)], cwd=ROOT)
        started = State(workspace)
        wait_until(lambda s=started: s.refresh() and s.sweeps["count"]["n"] > 3, 60)
        time.sleep(pause_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        state = State(workspace)
        state.refresh()
        # All of one flush, nothing of the next.
        assert {run["n"] for run in state.runs.values()} == {state.sweeps["count"]["n"]}
        assert len(state.runs) == 50
        workspace.state.unlink()


FILLER = """
import errno
from pathlib import Path
from engine.control.store import State, Store
from engine.records.workspace import Workspace
workspace = Workspace(Path("w"))
workspace.create()
store = Store(workspace)
store.put("runs", "first", text="kept")
store.flush()
store.put("runs", "second", text="x" * 400_000)
try:
    store.flush()
except OSError as error:
    assert error.errno == errno.ENOSPC
    print("full")
state = State(workspace)
state.refresh()
print(sorted(state.runs), sorted(store.runs))
store.runs["second"]["text"] = "short"
store.put("runs", "second")
store.flush()
state.refresh()
print(sorted(state.runs))
"""


def test_a_full_disk_loses_nothing(tmp_path) -> None:  # type: ignore[no-untyped-def]
    argv = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-c", FILLER]
    done = in_full_disk(tmp_path, "256k", argv)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["full", "['first'] ['first', 'second']", "['first', 'second']"]


def test_one_writer_at_a_time_and_the_other_is_named(workspace: Workspace) -> None:
    script = WRITER.replace("range(1_000_000)", "range(10_000_000)")
    writer = subprocess.Popen([sys.executable, "-c", script, str(workspace.root)], cwd=ROOT)
    wait_until(lambda: Lock(workspace).holder(), 60)
    with pytest.raises(StateError, match=f"process {writer.pid} on ") as refused:
        Store(workspace)
    assert refused.value.exit_code == 3
    writer.kill()
    writer.wait()
    # Whoever died holds nothing.
    assert Lock(workspace).holder() is None
    Store(workspace).close()


def test_a_holder_on_another_machine_is_believed(workspace: Workspace) -> None:
    with Lock(workspace):
        holder = Lock(workspace).holder()
        assert holder is not None
        assert holder["pid"] == os.getpid()
    workspace.supervisor_lock.write_text('{"host": "elsewhere", "pid": 1, "start_ticks": 1, "boot_id": ""}')
    holder = Lock(workspace).holder()
    assert holder is not None
    assert holder["host"] == "elsewhere"


def test_a_file_that_is_no_state_says_so(workspace: Workspace) -> None:
    workspace.state.write_text("{")
    with pytest.raises(StateError, match="not readable"):
        State(workspace).refresh()
