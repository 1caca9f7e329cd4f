import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import SpecError
from engine.records.workspace import Workspace
from kitui.services.showing import show_sweep, shown_lines
from tests.conftest import SAMPLES


def test_facts_are_shown_as_they_are_written_and_asked(workspace: Workspace) -> None:
    lines = [line.plain for line in shown_lines(show_sweep(SAMPLES / "smoke.toml", workspace))]
    of_sets = dict.fromkeys(("infused", "prior", "unseen"), 0)
    name = ""
    for line in lines:
        name = next((n for n in of_sets if line.startswith(n)), name)
        of_sets[name or "infused"] += line.startswith("    written ")
    assert of_sets == {"infused": 2, "prior": 8, "unseen": 0}  # of a prior fact, three statements and the question
    relations = [line.split(" · ")[1] for line in lines if " · " in line]
    assert relations[0] != relations[1]
    assert sum("✓" in line for line in lines) == sum(bool(re.match(r"    (choice|verbatim) ", line)) for line in lines)
    assert lines[0].startswith("tokenizer word, 552 tokens; unknown in the facts: 0.00%, in the background: 2")
    assert any("|lies|in|" in line and line.endswith("   5 tokens") for line in lines)


def test_only_facts_that_hold_a_text(workspace: Workspace) -> None:
    document = show_sweep(SAMPLES / "smoke.toml", workspace, number=100, containing="germany")
    shown = [fact for one in document.sets for fact in one.facts]
    assert shown
    assert {fact.object for fact in shown} == {"Germany"}
    with pytest.raises(SpecError, match="no fact of the sweep"):
        show_sweep(SAMPLES / "smoke.toml", workspace, containing="no such name")


def test_what_is_left_out_and_what_is_right_too_is_said(write_sweep: Callable[..., Path], workspace: Workspace) -> None:
    path = write_sweep()
    facts = path.with_name("facts.jsonl")
    text = facts.read_text()
    facts.unlink()
    added = [('"Hagenow"', '"Denmark"'), ('"Bank of Spain"', '"Spain"')]
    rows = "".join(f'{{"subject": {s}, "relation": "P17", "object": {o}}}\n' for s, o in added)
    facts.write_text(text + rows)
    sweep = path.read_text().replace("objects_per_relation = 8\n", "").replace("num_unseen = 48", "num_unseen = 400")
    document = show_sweep(write_sweep(sweep), workspace, number=1_000, containing="Hagenow")
    assert any("their subject or object holds the other" in note for note in document.notes)
    shown = [fact for one in document.sets for fact in one.facts if fact.subject == "Hagenow"]
    assert {f.object: f.also_right for f in shown}.get("Germany", ("Denmark",)) == ("Denmark",)
    assert shown
    for fact in shown:
        for question in fact.asked:
            offered = [choice.text.strip() for place, choice in enumerate(question.choices) if place != question.right]
            assert not {*offered} & {fact.object, *fact.also_right}
