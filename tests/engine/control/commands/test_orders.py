"""What orders do to the state, without anything running: the state is written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.control.status import sweep_status
from engine.control.supervisor import Supervisor
from engine.errors import LaunchError, SpecError
from engine.records.record import plain
from engine.records.workspace import Workspace, write_json
from tests.conftest import SAMPLES, prepare


@pytest.fixture
def supervisor(workspace: Workspace) -> Iterator[Supervisor]:
    made = Supervisor(workspace)
    yield made
    made.store.close()


def put_sweep(supervisor: Supervisor, name: str, run_ids: list[str], **changes: Any) -> None:
    sweep = {
        "active": True, "run_ids": run_ids, "evaluation_id": "e", "slots": None, "max_attempts": 3, "prepared": True,
        "prepare_error": None, "launched_s": float(len(supervisor.store.sweeps)), "ended_s": None, "eta_at_s": 1.0,
        "analysis_error": None,
    }  # fmt: skip
    supervisor.store.put("sweeps", name, **sweep | changes)
    supervisor.workspace.sweep(name).root.mkdir(exist_ok=True)
    for run_id in run_ids:
        if run_id not in supervisor.store.runs:
            put_run(supervisor, run_id, "queued")


def put_run(supervisor: Supervisor, run_id: str, state: str, **changes: Any) -> None:
    supervisor.store.put("runs", run_id, state=state, attempt=1, failures=0, reason="", results={}, **changes)
    supervisor.workspace.run(run_id).root.mkdir(exist_ok=True)


def tell(supervisor: Supervisor, command: str, *names: str) -> int:
    return int(supervisor.orders.obey({"command": command, "names": list(names)})["runs"])


def states(supervisor: Supervisor) -> dict[str, str]:
    return {name: run["state"] for name, run in supervisor.store.runs.items()}


def counts(supervisor: Supervisor, name: str) -> dict[str, int]:
    row = sweep_status(name, supervisor.store.sweeps[name], supervisor.store.runs)
    return {state: row[state] for state in ("queued", "paused", "cancelled") if row[state]}


def test_pausing_leaves_what_another_active_sweep_wants(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "shared"])
    put_sweep(supervisor, "b", ["shared", "two"])
    assert tell(supervisor, "pause", "a") == 1
    assert states(supervisor) == {"one": "paused", "shared": "queued", "two": "queued"}
    assert counts(supervisor, "a") == {"paused": 2}  # for this sweep the shared one waits too


def test_what_a_paused_sweep_wants_is_not_cancelled_with_another(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "shared"])
    put_sweep(supervisor, "b", ["shared", "two"])
    tell(supervisor, "pause", "a")
    tell(supervisor, "cancel", "b")
    assert states(supervisor) == {"one": "paused", "shared": "paused", "two": "cancelled"}
    assert tell(supervisor, "resume", "a") == 2
    assert counts(supervisor, "a") == {"queued": 2}
    assert supervisor.store.sweeps["a"]["eta_at_s"] is None  # of before the pause


def test_a_second_pause_holds_while_the_first_is_still_under_way(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"])
    put_run(supervisor, "one", "running")
    tell(supervisor, "pause", "a")
    supervisor.store.put("runs", "one", stop_sent=True)
    assert tell(supervisor, "resume", "a") == 1
    assert supervisor.store.runs["one"]["requeue"]
    assert tell(supervisor, "pause", "a") == 1
    run = supervisor.store.runs["one"]
    assert (run["ending"], run["requeue"]) == ("paused", False)


def test_an_order_that_queues_nothing_opens_no_sweep(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], active=False)
    put_run(supervisor, "one", "cancelled")
    assert tell(supervisor, "resume", "one") == 0
    assert not supervisor.store.sweeps["a"]["active"]


def test_sweeps_deleted_together_take_no_running_run_along(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["shared"])
    put_sweep(supervisor, "b", ["shared"])
    put_run(supervisor, "shared", "running")
    with pytest.raises(SpecError, match="kitui cancel a b"):
        tell(supervisor, "delete", "a", "b")
    assert set(supervisor.store.sweeps) == {"a", "b"}
    assert tell(supervisor, "delete", "a") == 0  # b still wants it
    assert supervisor.workspace.run("shared").root.exists()


def test_deleting_keeps_the_facts_of_a_sweep_that_is_not_prepared_yet(supervisor: Supervisor, tmp_path: Path) -> None:
    bundle = prepare(SAMPLES / "smoke.toml", supervisor.workspace).bundle
    for name in ("smoke", "waiting"):
        put_sweep(supervisor, name, [])
    write_json(supervisor.workspace.sweep("waiting").bundle, plain(bundle))  # no plan.json yet
    facts, tokens = bundle.plan.facts_id, bundle.plan.tokens_id
    tell(supervisor, "delete", "smoke")
    assert supervisor.workspace.facts(facts).exists()
    assert supervisor.workspace.tokens(tokens).exists()
    tell(supervisor, "delete", "waiting")
    assert not supervisor.workspace.facts(facts).exists()
    assert not supervisor.workspace.tokens(tokens).exists()


def test_a_sweep_is_moved_within_its_own_hosts_only(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "two", "three"], hosts=["local", "gpu1"])
    put_run(supervisor, "two", "running", host="local", slot="cpu:0")
    put_run(supervisor, "three", "running", host="local", slot="cpu:1", waiting="Resources")
    obey = supervisor.orders.obey
    with pytest.raises(SpecError, match=r"a is not prepared there\. Launch it again with --host gpu9"):
        obey({"command": "move", "names": ["a"], "host": "gpu9"})
    assert obey({"command": "move", "names": ["a"], "host": "gpu1"})["runs"] == 2
    runs = supervisor.store.runs
    assert [runs[r].get("moved_to") for r in ("one", "two", "three")] == ["gpu1", None, "gpu1"]
    assert [bool(runs[r].get("requeue")) for r in ("one", "two", "three")] == [False, False, True]


def test_priorities_and_caps_of_launched_sweeps(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], hosts=["local", "gpu1"])
    obey = supervisor.orders.obey
    obey({"command": "prioritise", "names": ["a"], "priority": 3})
    assert supervisor.store.sweeps["a"]["priority"] == 3
    with pytest.raises(SpecError, match="no sweep has this name"):
        obey({"command": "prioritise", "names": ["b"], "priority": 3})
    obey({"command": "cap", "names": ["a"], "caps": {"gpu1": 20.0, "local": 1.0}})
    obey({"command": "cap", "names": ["a"], "caps": {"local": None}})
    assert supervisor.store.sweeps["a"]["caps"] == {"gpu1": 20.0}
    with pytest.raises(SpecError, match="a is not trained there"):
        obey({"command": "cap", "names": ["a"], "caps": {"gpu2": 1.0}})


def test_a_drained_host_lets_runs_end_or_moves_them(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["trains", "waits"], hosts=["local"])
    put_run(supervisor, "trains", "running", slot="cpu:0")
    put_run(supervisor, "waits", "running", slot="cpu:1", waiting="Priority")
    obey = supervisor.orders.obey
    assert obey({"command": "drain", "names": ["local"]})["runs"] == 2
    assert not supervisor.fleet.is_open("local")
    assert [bool(supervisor.store.runs[r].get("requeue")) for r in ("trains", "waits")] == [False, True]
    obey({"command": "drain", "names": ["local"], "now": True})
    assert supervisor.store.runs["trains"]["requeue"]
    obey({"command": "reopen", "names": ["local"]})
    assert supervisor.fleet.is_open("local")
    with pytest.raises(LaunchError, match="no host of this name"):
        obey({"command": "drain", "names": ["gpu1"]})


def test_three_faults_in_a_row_set_a_host_aside(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "two", "three", "four"], hosts=["local", "gpu1"])
    for name in ("one", "two"):
        put_run(supervisor, name, "failed", host="gpu1")
        supervisor.fleet.book("gpu1", name, "no space left")
    supervisor.fleet.book("gpu1", "four", "")  # a success in between
    for name in ("one", "two"):
        supervisor.fleet.book("gpu1", name, "no space left")
    assert supervisor.fleet.is_open("gpu1")
    put_run(supervisor, "three", "lost", host="gpu1")
    supervisor.fleet.book("gpu1", "three", "no space left")
    assert not supervisor.fleet.is_open("gpu1")
    assert set(states(supervisor).values()) == {"queued"}
    row = sweep_status("a", supervisor.store.sweeps["a"], supervisor.store.runs, hosts=supervisor.store.hosts)
    assert "gpu1: set aside after 3 failures in a row, the last: no space left" in row["alerts"][0]


def test_a_fault_of_a_run_that_was_deleted_meanwhile_is_no_crash(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], hosts=["local", "gpu1"])
    supervisor.fleet.book("gpu1", "deleted", "no space left")
    supervisor.fleet.book("gpu1", "deleted too", "no space left")
    supervisor.fleet.book("gpu1", "one", "no space left")
    assert not supervisor.fleet.is_open("gpu1")


def test_the_last_open_host_is_not_set_aside_for_a_bad_sweep(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], hosts=["local", "gpu1"])
    supervisor.fleet.mark("gpu1", drained=True)
    for _ in range(4):
        supervisor.fleet.book("local", "one", "a mistake")
    assert supervisor.fleet.is_open("local")


def test_this_machine_alone_is_never_set_aside(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], hosts=["local"])
    put_run(supervisor, "one", "failed")
    for _ in range(5):
        supervisor.fleet.book("local", "one", "a mistake in the sweep")
    assert supervisor.fleet.is_open("local")
    assert states(supervisor) == {"one": "failed"}
