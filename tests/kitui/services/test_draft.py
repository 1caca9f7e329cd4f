"""Sweep files changed field by field."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from engine.errors import SpecError
from engine.spec.drawn_facts import read_fact_sets
from engine.spec.sweep_file import read_sweep
from kitui.services.draft import FIELDS, Draft, new_draft, open_draft
from tests.conftest import SAMPLES


def test_every_sample_survives_its_fields(tmp_path: Path) -> None:
    """What is shown, typed again, changes nothing."""
    for name in ("initial", "laptop", "smoke", "overnight", "hub"):
        draft = open_draft(SAMPLES / f"{name}.toml")
        for field in FIELDS:
            if field.key != "name":
                draft.put(field.key, draft.text_of(field.key))
        assert not draft.changed, name
        assert draft.faults() == {}, name


def test_comments_are_kept_where_values_change() -> None:
    draft = open_draft(SAMPLES / "initial.toml")
    draft.put("grid.seed", "range(4)")
    draft.put("grid.num_tokens", "200k, 1M")
    draft.put("grid.num_templates", "1, 3")
    text = draft.document.as_string()
    assert "# two or more: intervals need the scatter between seeds" in text
    assert "# D, loss-bearing tokens" in text
    grid = tomllib.loads(text)["grid"]
    assert (grid["seed"], grid["num_tokens"], grid["num_templates"]) == (["range(4)"], ["200k", "1M"], [1, 3])
    draft.put("grid.num_templates", "")
    assert "num_templates" not in tomllib.loads(draft.document.as_string())["grid"]


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("grid.seed", "0, x", "number"),
        ("grid.model_size", "nano-13kk", "nano-13k"),
        ("grid.infusion_frequency", "geom(0, 5, 3)", "above zero"),
        ("name", "No Good", "small letters"),
        ("facts.num_infused", "", "required"),
        ("background.source", "disk", "builtin"),
        ("training.learning_rate", "{ base = 1 }", "base_width"),
    ],
)
def test_faults_stand_beside_their_fields(key: str, text: str, words: str) -> None:
    draft = open_draft(SAMPLES / "initial.toml")
    draft.put(key, text)
    faults = draft.faults()
    assert key in faults, faults
    assert words in faults[key]


def test_a_call_in_a_list_keeps_its_commas() -> None:
    draft = open_draft(SAMPLES / "initial.toml")
    draft.put("grid.infusion_frequency", "0, geom(1, 64, 4), 100")
    assert tomllib.loads(draft.document.as_string())["grid"]["infusion_frequency"] == [0, "geom(1, 64, 4)", 100]


def test_a_new_draft_is_saved_with_its_samples_and_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.toml").write_text("taken")
    draft = new_draft()
    assert draft.path.name == "sweep-2.toml"
    draft.put("name", "mine")
    saved = draft.save()
    assert not draft.changed
    assert read_sweep(saved).name == "mine"
    assert (tmp_path / "facts.jsonl").read_bytes() == (SAMPLES / "facts.jsonl").read_bytes()
    assert (tmp_path / "sweep.toml").read_text() == "taken"


def test_a_standalone_draft_can_be_planned_from_anywhere(tmp_path: Path) -> None:
    draft = open_draft(SAMPLES / "smoke.toml")
    (tmp_path / "draft.toml").write_text(draft.standalone())
    assert len(read_fact_sets(tmp_path / "draft.toml", read_sweep(tmp_path / "draft.toml"))[0].infused) == 48
    assert read_sweep(tmp_path / "draft.toml").name == "smoke"


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[grid")
    with pytest.raises(SpecError, match="not valid TOML"):
        open_draft(tmp_path / "bad.toml")
    with pytest.raises(SpecError, match="there is no such file"):
        open_draft(tmp_path / "none.toml")


def test_what_is_wrong_with_the_sizes_names_the_wrong_one() -> None:
    draft = open_draft(SAMPLES / "smoke.toml")
    draft.put("grid.model_size", "nano-3k, nano-9")
    assert draft.faults() == {"grid.model_size": "'nano-9': no model size of this name."}
    draft.put("grid.model_size", "")
    assert draft.faults() == {"grid.model_size": "this setting is required."}


def test_a_field_of_a_section_that_is_not_there_makes_it() -> None:
    draft = Draft("", Path("x.toml"))
    draft.put("facts.num_prior", "")
    assert draft.document.as_string() == ""
    draft.put("facts.num_prior", "12")
    assert tomllib.loads(draft.document.as_string()) == {"facts": {"num_prior": 12}}


def test_files_of_ones_own_go_before_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draft = new_draft()
    assert draft.file("facts.jsonl") == SAMPLES / "facts.jsonl"
    (tmp_path / "mine.jsonl").write_text("")
    draft.put("facts.path", "mine.jsonl")
    table = tomllib.loads(draft.standalone())
    assert table["facts"] | {"path": str(tmp_path / "mine.jsonl")} == table["facts"]
    assert table["facts"]["templates"] == str(SAMPLES / "templates.toml")


def test_a_new_draft_is_saved_under_the_name_of_its_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draft = new_draft()
    draft.put("name", "mine")
    assert draft.save() == tmp_path / "mine.toml"
    assert (tmp_path / "templates.toml").exists()
    draft.put("name", "another")  # saved by now: it stays where it is
    assert draft.save() == tmp_path / "mine.toml"
