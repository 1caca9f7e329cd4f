"""The verbs that a person has: each is a command of the supervisor and of the command line."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from engine.control.commands import queue
from engine.errors import SpecError
from engine.records.commands import Obeyed, Order
from engine.records.workspace import Workspace
from kitui.cli.main import app, machine
from kitui.services.orders import VERBS, give, question

RECORDS = {kind.__struct_config__.tag: kind for kind in get_args(Order)}
DETAILS: dict[str, dict[str, Any]] = {
    "cap": {"caps": {"gpu1": 5.0, "gpu2": None}}, "move": {"host": "gpu1"}, "prioritise": {"priority": 3},
}  # fmt: skip


def test_every_verb_is_a_command() -> None:
    """But mending, which `verify` does."""
    assert set(VERBS) == set(RECORDS)
    offered = [*app.registered_commands, *machine.hosts_app.registered_commands]
    assert set(VERBS) - {"mend"} <= {
        command.name or command.callback.__name__ for command in offered if command.callback
    }


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_handed_on_as_its_command(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    given: list[Order] = []

    def obeyed(_workspace: Workspace, order: Order) -> Obeyed:
        given.append(order)
        return Obeyed(runs=2)

    monkeypatch.setattr(queue, "order", obeyed)
    words = give(workspace, verb, ["demo"], **DETAILS.get(verb, {}))
    assert words
    assert [type(order) for order in given] == [RECORDS[verb]]
    assert given[0].names == ("demo",)


@pytest.mark.parametrize(
    ("verb", "details", "words"),
    [
        ("cancel", {}, "1 run cancelled"),
        ("archive", {}, "archived"),
        ("archive", {"archived": False}, "back in the list"),
        ("cap", DETAILS["cap"], "cap on gpu1: 5 GPU-hours, gpu2: none"),
        ("prioritise", DETAILS["prioritise"], "priority 3"),
        ("reopen", {}, "runs may start again on demo"),
    ],
)
def test_what_came_of_it_is_said(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, verb: str, details: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(queue, "order", lambda _workspace, _order: Obeyed(runs=1))
    assert give(workspace, verb, ["demo"], **details) == words


def test_without_a_workspace_nothing_is_made(tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = Workspace(tmp_path_factory.mktemp("orders") / "nowhere")
    with pytest.raises(SpecError, match="there is no workspace here"):
        give(nowhere, "cancel", ["demo"])
    assert not nowhere.root.exists()


def test_a_question_names_the_one_or_counts_the_runs() -> None:
    about = VERBS["cancel"].about_sweeps
    assert question("cancel", ["demo"], about) == f"Cancel demo? {about}"
    assert question("pause", ["a", "b"], "They end.") == "Pause 2 runs? They end."
