"""What a field of the designer can be given."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import DataError
from engine.records.status import HostStatus
from engine.records.workspace import Workspace
from engine.spec.models import PRESETS
from kitui.services.choices import choices, glimpse, has_choices, host_offer
from kitui.services.draft import FIELDS, Draft, open_draft
from tests.conftest import SAMPLES


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    """The smoke sweep in a folder of its own, with its files and some others."""
    for name in ("smoke.toml", "facts.jsonl", "templates.toml"):
        shutil.copy(SAMPLES / name, tmp_path)
    (tmp_path / "corpus").mkdir()
    for i in range(3):
        (tmp_path / "corpus" / f"part-{i}.txt").write_text(f"Text number {i}.\n\nAnd more of it.\n")
    (tmp_path / "notes.rst").write_text("no corpus")
    (tmp_path / ".hidden.txt").write_text("not shown")
    return open_draft(tmp_path / "smoke.toml")


def test_what_is_chosen_is_what_the_field_takes(draft: Draft) -> None:
    """Each choice, put into its field, is no fault of that field."""
    for field in FIELDS:
        if has_choices(field.key):
            for choice in choices(draft, field.key):
                if not choice.folder:
                    changed = Draft(draft.document.as_string(), draft.path)
                    changed.put(field.key, choice.value)
                    assert field.key not in changed.faults(), choice


def test_sizes_are_all_presets_with_their_parameters(draft: Draft) -> None:
    assert [c.value for c in choices(draft, "grid.model_size")] == list(PRESETS)
    assert "12.6k" in next(c.about for c in choices(draft, "grid.model_size") if c.value == "nano-13k")


def test_files_of_the_kind_that_the_field_takes(draft: Draft) -> None:
    labels = {
        key: [c.label for c in choices(draft, key)] for key in ("facts.path", "facts.templates", "background.path")
    }
    assert labels["facts.path"] == ["..", "corpus/", "facts.jsonl"]
    assert labels["facts.templates"] == ["..", "corpus/", "smoke.toml", "templates.toml"]
    assert labels["background.path"] == ["..", "corpus/", "facts.jsonl"]


def test_a_folder_of_texts_is_offered_whole(draft: Draft) -> None:
    found = choices(draft, "background.path", draft.base / "corpus")
    assert [c.value for c in found if not c.folder][:2] == ["corpus/*.txt", "corpus/part-0.txt"]
    assert "3 files" in found[1].about
    assert glimpse(draft, "background.path", found[1])[0] == "Text number 0."


def test_outside_of_the_sweep_files_folder_a_path_is_whole(
    draft: Draft, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    pq.write_table(pa.table({"text": ["one", "two"]}), other / "x.parquet")
    choice = choices(draft, "background.path", other)[-1]
    assert choice.value == str(other / "x.parquet")
    assert glimpse(draft, "background.path", choice) == ["2 rows: text"]


def test_a_glimpse_of_facts_counts_and_shows_some(draft: Draft) -> None:
    lines = glimpse(draft, "facts.path", choices(draft, "facts.path")[-1])
    assert lines[0].startswith("7,587 facts, 12 relations")
    assert " · " in lines[1]


def test_relations_are_counted_and_written(draft: Draft) -> None:
    found = choices(draft, "facts.relations")
    assert [c.value for c in found][:3] == ["P17", "P19", "P20"]
    assert "742 facts" in found[0].about
    assert glimpse(draft, "facts.relations", found[0])


def test_a_relation_without_templates_is_said_to_have_none(draft: Draft) -> None:
    with (draft.base / "facts.jsonl").open("a") as facts:
        facts.write('{"subject": "Ada", "relation": "P9999", "object": "London"}\n')
    found = choices(draft, "facts.relations")[-1]
    assert "no templates" in found.about
    assert glimpse(draft, "facts.relations", found) == ["Ada · P9999 · London"]


def test_what_cannot_be_read_is_said(draft: Draft) -> None:
    draft.put("facts.path", "none.jsonl")
    with pytest.raises(DataError, match="no such file"):
        choices(draft, "facts.relations")
    (draft.base / "bad.jsonl").write_text("{")
    bad = next(c for c in choices(draft, "facts.path") if c.value == "bad.jsonl")
    assert glimpse(draft, "facts.path", bad)[0].startswith("!")
    assert choices(draft, "facts.path", draft.base / "nowhere")[1].about.startswith("cannot be read")


def test_hosts_are_those_of_the_workspace_and_this_machine(workspace: Workspace) -> None:
    workspace.create()
    (workspace.root / "hosts.toml").write_text('[gpu1]\nssh = "me@gpu1"\nworkspace = "~/k"\n')
    seen = HostStatus(
        name="gpu1", kind="ssh", ssh="me@gpu1", workspace="~/k", slots=4, running=1, slot_hours=0.0, open=True,
        fault="unreachable since noon", sweeps=(),
    )  # fmt: skip
    offer = host_offer(workspace, [seen], ["local"])
    found = offer.listed(None)
    assert [(c.value, c.about) for c in found] == [("local", "this machine"), ("gpu1", "ssh me@gpu1, 4 slots")]
    assert offer.glimpse(found[1]) == ["unreachable since noon"]
    assert "hosts.toml" in offer.glimpse(found[0])[0]
