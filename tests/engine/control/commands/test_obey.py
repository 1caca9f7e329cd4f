"""What commands do to the state, without anything running: the state is written by hand."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.control.commands.deletion import _left_on_hosts
from engine.control.commands.obey import obey
from engine.control.ledger import transitions
from engine.control.status import sweep_status
from engine.control.supervisor import Supervisor
from engine.errors import LaunchError, SpecError
from engine.records.commands import (
    Archive,
    Cancel,
    Cap,
    Clean,
    Delete,
    Drain,
    Move,
    Obeyed,
    Order,
    Pause,
    Prioritise,
    Reopen,
    Resume,
    Retry,
    Undelete,
)
from engine.records.record import plain
from engine.records.states import RunStatus
from engine.records.trash import read_trash
from engine.records.workspace import Workspace, write_json
from tests.conftest import SAMPLES, prepare
from tests.factory import EVALUATION, make_exit, make_run, make_sweep


@pytest.fixture
def supervisor(workspace: Workspace) -> Iterator[Supervisor]:
    made = Supervisor(workspace)
    yield made
    made.ledger.close()


def put_sweep(supervisor: Supervisor, name: str, run_ids: list[str], **changes: Any) -> None:
    """A sweep launched after those that are there, and its runs, queued where they are new."""
    launched_s = float(len(supervisor.ledger.sweeps))
    supervisor.ledger.put_sweep(make_sweep(run_ids, name, **{"launched_s": launched_s, "eta_at_s": 1.0} | changes))
    supervisor.workspace.sweep(name).root.mkdir(exist_ok=True)
    for run_id in run_ids:
        if run_id not in supervisor.ledger.runs:
            put_run(supervisor, run_id, "queued")


def put_run(supervisor: Supervisor, run_id: str, status: str, **changes: Any) -> None:
    supervisor.ledger.put_run(make_run(run_id, status, **{"attempt": 1} | changes))
    supervisor.workspace.run(run_id).root.mkdir(exist_ok=True)


def tell(supervisor: Supervisor, command: Order) -> int:
    """How many runs a command has changed."""
    answer = obey(supervisor.parts, command)
    assert isinstance(answer, Obeyed)
    return answer.runs


def statuses(supervisor: Supervisor) -> dict[str, str]:
    return {name: run.status.value for name, run in supervisor.ledger.runs.items()}


def counts(supervisor: Supervisor, name: str) -> dict[str, int]:
    row = sweep_status(supervisor.ledger.sweeps[name], supervisor.ledger.runs)
    waiting = (RunStatus.QUEUED, RunStatus.PAUSED, RunStatus.CANCELLED)
    return {status.value: row.counts[status] for status in waiting if row.counts[status]}


def test_pausing_leaves_what_another_active_sweep_wants(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "shared"])
    put_sweep(supervisor, "b", ["shared", "two"])
    assert tell(supervisor, Pause(names=("a",))) == 1
    assert statuses(supervisor) == {"one": "paused", "shared": "queued", "two": "queued"}
    assert counts(supervisor, "a") == {"paused": 2}  # for this sweep the shared one waits too


def test_what_a_paused_sweep_wants_is_not_cancelled_with_another(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "shared"])
    put_sweep(supervisor, "b", ["shared", "two"])
    tell(supervisor, Pause(names=("a",)))
    tell(supervisor, Cancel(names=("b",)))
    assert statuses(supervisor) == {"one": "paused", "shared": "paused", "two": "cancelled"}
    assert tell(supervisor, Resume(names=("a",))) == 2
    assert counts(supervisor, "a") == {"queued": 2}
    assert supervisor.ledger.sweeps["a"].eta_at_s is None  # of before the pause


def test_a_second_pause_holds_while_the_first_is_still_under_way(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"])
    put_run(supervisor, "one", "running")
    tell(supervisor, Pause(names=("a",)))
    supervisor.ledger.change_run("one").stop_sent = True
    assert tell(supervisor, Resume(names=("a",))) == 1
    assert supervisor.ledger.runs["one"].requeue
    assert tell(supervisor, Pause(names=("a",))) == 1
    run = supervisor.ledger.runs["one"]
    assert (run.ending, run.requeue) == ("paused", False)


def test_an_order_that_queues_nothing_opens_no_sweep(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], active=False)
    put_run(supervisor, "one", "cancelled")
    assert tell(supervisor, Resume(names=("one",))) == 0
    assert not supervisor.ledger.sweeps["a"].active


def test_sweeps_deleted_together_take_no_running_run_along(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["shared"])
    put_sweep(supervisor, "b", ["shared"])
    put_run(supervisor, "shared", "running")
    with pytest.raises(SpecError, match="kitui cancel a b"):
        tell(supervisor, Delete(names=("a", "b")))
    assert set(supervisor.ledger.sweeps) == {"a", "b"}
    assert tell(supervisor, Delete(names=("a",))) == 0  # b still wants it
    assert supervisor.workspace.run("shared").root.exists()


def test_deleting_keeps_the_facts_of_a_sweep_that_is_not_prepared_yet(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = prepare(SAMPLES / "smoke.toml", supervisor.workspace).bundle
    for name in ("smoke", "waiting"):
        put_sweep(supervisor, name, [])
    write_json(supervisor.workspace.sweep("waiting").bundle, plain(bundle))  # no plan.json yet
    facts, tokens = bundle.plan.facts_id, bundle.plan.tokens_id
    tell(supervisor, Delete(names=("smoke",), for_good=True))
    assert supervisor.workspace.facts(facts).exists()
    assert supervisor.workspace.tokens(tokens).exists()
    tell(supervisor, Delete(names=("waiting",)))
    assert supervisor.workspace.tokens(tokens).exists()  # it can be had back
    week_s = 7 * 86400.0
    now_s = time.time()
    monkeypatch.setattr("engine.control.commands.obey.time", SimpleNamespace(time=lambda: now_s + week_s - 60))
    tell(supervisor, Clean(names=()))
    assert supervisor.workspace.tokens(tokens).exists()
    monkeypatch.setattr("engine.control.commands.obey.time", SimpleNamespace(time=lambda: now_s + week_s + 60))
    tell(supervisor, Clean(names=()))
    assert not supervisor.workspace.facts(facts).exists()
    assert not supervisor.workspace.tokens(tokens).exists()
    assert not list(supervisor.workspace.trash.iterdir())


def test_what_was_deleted_comes_back_as_it_was(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "shared"])
    put_sweep(supervisor, "b", ["two", "shared"])
    for run_id in ("one", "two", "shared"):
        put_run(supervisor, run_id, "done")
        supervisor.workspace.run(run_id).root.mkdir(parents=True, exist_ok=True)
        supervisor.workspace.run(run_id).log.write_text(run_id)
    before = deepcopy(supervisor.ledger.sweeps["a"]), deepcopy(supervisor.ledger.runs)
    assert tell(supervisor, Delete(names=("a", "b"))) == 3
    assert not supervisor.ledger.runs
    assert not supervisor.workspace.run("shared").root.exists()
    assert tell(supervisor, Undelete(names=("b",))) == 2  # the shared one had gone with the other
    assert set(supervisor.ledger.runs) == {"two", "shared"}
    assert tell(supervisor, Undelete(names=("a",))) == 1
    assert (supervisor.ledger.sweeps["a"], supervisor.ledger.runs) == before
    assert [supervisor.workspace.run(r).log.read_text() for r in ("one", "two", "shared")] == ["one", "two", "shared"]
    with pytest.raises(SpecError, match="There is nothing in the trash"):
        tell(supervisor, Undelete(names=("a",)))


def test_what_a_killed_supervisor_had_not_moved_yet_comes_back_too(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"])
    put_run(supervisor, "one", "done")
    supervisor.workspace.run("one").root.mkdir(parents=True, exist_ok=True)
    tell(supervisor, Delete(names=("a",)))
    (entry,) = read_trash(supervisor.workspace)
    entry.run("one").rename(supervisor.workspace.run("one").root)  # as if it had been killed before
    assert tell(supervisor, Undelete(names=("a",))) == 1
    assert supervisor.workspace.run("one").root.exists()


def test_a_name_that_is_taken_again_is_not_given_twice(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"])
    put_run(supervisor, "one", "done")
    tell(supervisor, Delete(names=("a",)))
    put_sweep(supervisor, "a", ["other"])
    with pytest.raises(SpecError, match="there is a sweep of this name again"):
        tell(supervisor, Undelete(names=("a",)))


def test_a_sweep_is_moved_within_its_own_hosts_only(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "two", "three"], hosts=("local", "gpu1"))
    put_run(supervisor, "two", "running", host="local", slot="cpu:0")
    put_run(supervisor, "three", "running", host="local", slot="cpu:1", waiting="Resources")
    with pytest.raises(SpecError, match=r"a is not prepared there\. Launch it again with --host gpu9"):
        tell(supervisor, Move(names=("a",), host="gpu9"))
    assert tell(supervisor, Move(names=("a",), host="gpu1")) == 2
    runs = supervisor.ledger.runs
    assert [runs[r].moved_to for r in ("one", "two", "three")] == ["gpu1", None, "gpu1"]
    assert [runs[r].requeue for r in ("one", "two", "three")] == [False, False, True]


def test_priorities_and_caps_of_launched_sweeps(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], hosts=("local", "gpu1"))
    tell(supervisor, Prioritise(names=("a",), priority=3))
    assert supervisor.ledger.sweeps["a"].priority == 3
    with pytest.raises(SpecError, match="no sweep has this name"):
        tell(supervisor, Prioritise(names=("b",), priority=3))
    tell(supervisor, Cap(names=("a",), caps={"gpu1": 20.0, "local": 1.0}))
    tell(supervisor, Cap(names=("a",), caps={"local": None}))
    assert supervisor.ledger.sweeps["a"].caps == {"gpu1": 20.0}
    with pytest.raises(SpecError, match="a is not trained there"):
        tell(supervisor, Cap(names=("a",), caps={"gpu2": 1.0}))


def test_a_drained_host_lets_runs_end_or_moves_them(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["trains", "waits"], hosts=("local",))
    put_run(supervisor, "trains", "running", slot="cpu:0")
    put_run(supervisor, "waits", "running", slot="cpu:1", waiting="Priority")
    assert tell(supervisor, Drain(names=("local",))) == 2
    assert not supervisor.fleet.is_open("local")
    assert [supervisor.ledger.runs[r].requeue for r in ("trains", "waits")] == [False, True]
    tell(supervisor, Drain(names=("local",), now=True))
    assert supervisor.ledger.runs["trains"].requeue
    tell(supervisor, Reopen(names=("local",)))
    assert supervisor.fleet.is_open("local")
    with pytest.raises(LaunchError, match="no host of this name"):
        tell(supervisor, Drain(names=("gpu1",)))


def test_three_faults_in_a_row_set_a_host_aside(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "two", "three", "four"], hosts=("local", "gpu1"))
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
    assert set(statuses(supervisor).values()) == {"queued"}
    row = sweep_status(supervisor.ledger.sweeps["a"], supervisor.ledger.runs, hosts=supervisor.ledger.hosts)
    assert "gpu1: set aside after 3 failures in a row, the last: no space left" in row.alerts[0]


def test_a_host_that_was_set_aside_is_tried_with_a_run_that_this_does_not_harm(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one", "two", "three"], hosts=("gpu1",), max_attempts=2)
    fleet, ledger = supervisor.fleet, supervisor.ledger
    for name in ("one", "two", "three"):
        put_run(supervisor, name, "queued", host="gpu1")
        fleet.book("gpu1", name, "no space left")
    assert not fleet.is_open("gpu1")
    assert not fleet.is_on_trial("gpu1")  # not at once

    def try_one(returncode: int) -> None:
        ledger.change_host("gpu1").tried_s = time.time() - 61
        assert fleet.is_on_trial("gpu1")
        attempt = transitions.start(ledger, "one", host="gpu1", slot="cpu:0", num_processes=1, evaluation_id=EVALUATION)
        assert not fleet.is_on_trial("gpu1")  # one at a time
        ending = make_exit(attempt, returncode, reason="no space left")
        transitions.attempt_ended(ledger, "one", ending, None, fleet.book)

    for _ in range(5):
        try_one(1)
        run = ledger.runs["one"]
        assert (run.status, run.failures) == ("queued", 0)
        assert not fleet.is_open("gpu1")
    fleet.book("gpu1", "one", "")
    assert fleet.is_open("gpu1")


def test_a_fault_of_a_run_that_was_deleted_meanwhile_is_no_crash(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], hosts=("local", "gpu1"))
    supervisor.fleet.book("gpu1", "deleted", "no space left")
    supervisor.fleet.book("gpu1", "deleted too", "no space left")
    supervisor.fleet.book("gpu1", "one", "no space left")
    assert not supervisor.fleet.is_open("gpu1")


def test_the_last_open_host_is_not_set_aside_for_a_bad_sweep(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], hosts=("local", "gpu1"))
    supervisor.ledger.change_host("gpu1").drained = True
    for _ in range(4):
        supervisor.fleet.book("local", "one", "a mistake")
    assert supervisor.fleet.is_open("local")


def test_this_machine_alone_is_never_set_aside(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], hosts=("local",))
    put_run(supervisor, "one", "failed")
    for _ in range(5):
        supervisor.fleet.book("local", "one", "a mistake in the sweep")
    assert supervisor.fleet.is_open("local")
    assert statuses(supervisor) == {"one": "failed"}


@pytest.mark.parametrize("command", [Cancel, Pause, Resume, Retry, Archive])
def test_a_name_that_nothing_has_is_refused_before_anything_is_changed(
    supervisor: Supervisor, command: type[Cancel | Pause | Resume | Retry | Archive]
) -> None:
    put_sweep(supervisor, "a", ["one", "two"])
    put_run(supervisor, "one", "failed")
    put_run(supervisor, "two", "paused")
    before = deepcopy((supervisor.ledger.sweeps, supervisor.ledger.runs))
    with pytest.raises(SpecError, match="nosuch"):
        tell(supervisor, command(names=("a", "nosuch")))
    assert (supervisor.ledger.sweeps, supervisor.ledger.runs) == before


def test_cancelling_meets_no_host(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"], hosts=("gone",), active=False)
    tell(supervisor, Cancel(names=("a",)))
    assert supervisor.ledger.hosts == {}


def test_a_run_that_went_for_good_with_another_sweep_is_said_to_be_that(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["shared"])
    put_sweep(supervisor, "b", ["shared"])
    put_run(supervisor, "shared", "done")
    tell(supervisor, Delete(names=("a",)))
    tell(supervisor, Delete(names=("b",), for_good=True))
    assert tell(supervisor, Undelete(names=("a",))) == 0
    run = supervisor.ledger.runs["shared"]
    assert (run.status, "for good" in run.reason) == ("cancelled", True)


def test_an_older_sweep_of_a_name_is_had_back_by_its_id(supervisor: Supervisor) -> None:
    put_sweep(supervisor, "a", ["one"])
    tell(supervisor, Delete(names=("a", "a")))
    put_sweep(supervisor, "a", ["two"])
    tell(supervisor, Delete(names=("a",)))
    newer, older = read_trash(supervisor.workspace)
    tell(supervisor, Undelete(names=(older.root.name,)))
    assert supervisor.ledger.sweeps["a"].run_ids == ("one",)
    with pytest.raises(SpecError, match=r"kitui undelete .*-a has this one back"):
        tell(supervisor, Undelete(names=(newer.root.name,)))


def test_what_a_newer_deletion_needs_on_hosts_outlives_an_older_one(supervisor: Supervisor) -> None:
    for _ in range(2):
        put_sweep(supervisor, "a", ["one"], hosts=("gpu1",))
        put_run(supervisor, "one", "done", host="gpu1")
        tell(supervisor, Delete(names=("a",)))
    newer, older = read_trash(supervisor.workspace)
    shutil.rmtree(older.root)
    assert _left_on_hosts(supervisor.workspace, supervisor.ledger, older.deleted) == {}
    shutil.rmtree(newer.root)
    left = _left_on_hosts(supervisor.workspace, supervisor.ledger, older.deleted)
    assert left == {"gpu1": {"sweeps/a", "runs/one"}}


def test_over_several_disks_there_is_no_trash(supervisor: Supervisor, tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    runs = supervisor.workspace.root / "runs"
    with tempfile.TemporaryDirectory(dir=other) as elsewhere:
        put_sweep(supervisor, "a", ["one"])
        shutil.rmtree(runs)
        runs.symlink_to(elsewhere)
        with pytest.raises(SpecError, match="--for-good"):
            tell(supervisor, Delete(names=("a",)))
        assert set(supervisor.ledger.sweeps) == {"a"}
        runs.unlink()
