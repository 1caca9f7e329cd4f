"""The queue of commands, without a supervisor of its own."""

from __future__ import annotations

import orjson
import pytest

from engine.control.commands.queue import pending_commands, reply, submit
from engine.control.store import Lock
from engine.errors import StateError
from engine.records.workspace import Workspace, read_json, write_json


def test_commands_come_in_their_order_and_rubbish_is_put_aside(workspace: Workspace) -> None:
    for i in (2, 1, 3):
        write_json(workspace.queue / f"{i}.json", {"command": "cancel", "names": [str(i)]})
    (workspace.queue / "0.json").write_text("{")
    (workspace.queue / "4.json").write_text("[1]")
    assert [c["names"] for _, c in pending_commands(workspace)] == [["1"], ["2"], ["3"]]
    assert sorted(p.name for p in workspace.queue.glob("*.unreadable")) == ["0.unreadable", "4.unreadable"]


def test_an_answer_takes_its_command_off_the_queue(workspace: Workspace) -> None:
    path = workspace.queue / "1.json"
    write_json(path, {"command": "cancel", "names": []})
    reply(path, {"ok": True})
    assert pending_commands(workspace) == []
    assert read_json(path.with_suffix(".reply")) == {"ok": True}


def test_a_workspace_held_by_another_machine_is_left_alone(workspace: Workspace) -> None:
    identity = {"host": "elsewhere", "pid": 7, "start_ticks": 1, "boot_id": ""}
    workspace.supervisor_lock.write_bytes(orjson.dumps(identity))
    with pytest.raises(StateError, match="process 7 on elsewhere") as refused:
        submit(workspace, {"command": "cancel", "names": []})
    assert refused.value.exit_code == 3
    assert list(workspace.queue.iterdir()) == []
    holder = Lock(workspace).holder()
    assert holder is not None


def test_nobody_answers_in_time(workspace: Workspace) -> None:
    with Lock(workspace), pytest.raises(StateError, match="did not answer"):
        submit(workspace, {"command": "cancel", "names": []}, timeout_s=0.2)
    # It stays queued: the next supervisor obeys it.
    assert len(pending_commands(workspace)) == 1
