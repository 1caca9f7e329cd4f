"""What orders do to the state, without anything running: the state is written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.control.status import sweep_status
from engine.control.supervisor import Supervisor
from engine.errors import SpecError
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
