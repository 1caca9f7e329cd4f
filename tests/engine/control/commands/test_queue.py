"""The queue of commands, without a supervisor of its own."""

from __future__ import annotations

import orjson
import pytest

from engine.control.commands.queue import OlderSupervisorError, order, pending_commands, reply
from engine.control.ledger.lock import Lock
from engine.errors import SpecError, StateError
from engine.records.commands import Cancel, Obeyed, Refused, decoded_answer
from engine.records.workspace import Workspace, write_json


def test_commands_come_in_their_order_and_rubbish_is_put_aside(workspace: Workspace) -> None:
    for i in (2, 1, 3):
        write_json(workspace.queue / f"{i}.json", {"command": "cancel", "names": [str(i)]})
    (workspace.queue / "0.json").write_text("{")
    (workspace.queue / "4.json").write_text("[1]")
    (workspace.queue / "5.json").write_text('{"command": "dance", "names": []}')
    assert [command for _, command in pending_commands(workspace)] == [Cancel(names=(name,)) for name in "123"]
    assert sorted(p.name for p in workspace.queue.glob("*.unreadable")) == [f"{i}.unreadable" for i in (0, 4, 5)]


def test_an_answer_takes_its_command_off_the_queue(workspace: Workspace) -> None:
    path = workspace.queue / "1.json"
    write_json(path, {"command": "cancel", "names": []})
    reply(path, Obeyed(runs=2))
    assert pending_commands(workspace) == []
    assert decoded_answer(path.with_suffix(".reply").read_bytes()) == Obeyed(runs=2)


def test_a_refusal_is_the_error_that_it_was() -> None:
    error = SpecError("no sweep has this name.", value="x", mend="Did you mean y?")
    raised = Refused(error=error.to_json()).raised()
    assert (type(raised), str(raised)) == (SpecError, str(error))


def test_a_workspace_held_by_another_machine_is_left_alone(workspace: Workspace) -> None:
    identity = {"host": "elsewhere", "pid": 7, "start_ticks": 1, "boot_id": ""}
    workspace.supervisor_lock.write_bytes(orjson.dumps(identity))
    with pytest.raises(StateError, match="process 7 on elsewhere") as refused:
        order(workspace, Cancel(names=()))
    assert refused.value.exit_code == 3
    assert list(workspace.queue.iterdir()) == []
    holder = Lock(workspace).holder()
    assert holder is not None


def test_nobody_answers_in_time(workspace: Workspace) -> None:
    with Lock(workspace), pytest.raises(StateError, match="did not answer"):
        order(workspace, Cancel(names=()), timeout_s=0.2)
    # It stays queued: the next supervisor obeys it.
    assert len(pending_commands(workspace)) == 1


def test_an_older_supervisor_is_asked_nothing(workspace: Workspace) -> None:
    """This process holds the workspace, in the words of the first format."""
    with Lock(workspace):
        words = orjson.loads(workspace.supervisor_lock.read_bytes())
        del words["state_format"]
        workspace.supervisor_lock.write_bytes(orjson.dumps(words))
        with pytest.raises(OlderSupervisorError, match="of an older kitui than this") as refused:
            order(workspace, Cancel(names=()))
        assert (refused.value.exit_code, "kitui restart-supervisor" in str(refused.value)) == (3, True)
        assert list(workspace.queue.iterdir()) == []
