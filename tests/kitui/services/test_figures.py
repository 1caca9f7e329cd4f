"""Figures as files: text that can be selected, embedded fonts, the colours of the app, and clear refusals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.analysis.imports import import_table
from engine.errors import SpecError
from engine.records.workspace import Workspace
from kitui.services.figures import FIGURES, _places, write_figure
from kitui.services.palette import ON_LIGHT
from kitui.services.simulating import simulate_sweep
from kitui.services.study_map import StudyMap


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = Workspace(tmp_path_factory.mktemp("figures") / "workspace")
    simulate_sweep(
        made, "sim", law_text="30 * (N / 30k) ^ 0.5", sizes="7k,15k,30k,60k", frequencies="0,1,2,4,8,16,32,64,96,128",
        num_seeds=3, num_questions=320, seed=0, replace=False, many=False,
    )  # fmt: skip
    return made


WORDS = {
    "curves": ["sim (simulated), overall", "retention", "F, writings of a fact", "7k", "60k", "usable at every size"],
    "law": ["N, parameters without embeddings", "95 % of one more size", "nano-78k", "30k"],
    "map": ["nano-78k", "60k", "128", "F* "],
}


@pytest.mark.parametrize("kind", FIGURES)
def test_text_is_text_and_colours_are_those_of_the_app(workspace: Workspace, tmp_path: Path, kind: str) -> None:
    svg = write_figure(workspace, "sim", kind, tmp_path / "figure.svg").read_text()
    texts = " | ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))
    for words in WORDS[kind]:
        assert words in texts
    if kind != "map":
        colours = {ON_LIGHT[place] for place in (0, 2, 5, 7)}  # four sizes spread over the scale
        assert all(colour in svg for colour in colours)
    assert write_figure(workspace, "sim", kind, tmp_path / "again.svg").read_text() == svg


@pytest.mark.parametrize(("name", "begins"), [("f.pdf", b"%PDF"), ("f.png", b"\x89PNG"), ("f.SVG", b"<?xml")])
def test_the_ending_says_the_format(workspace: Workspace, tmp_path: Path, name: str, begins: bytes) -> None:
    content = write_figure(workspace, "sim", "law", tmp_path / name).read_bytes()
    assert content.startswith(begins)
    if name.endswith("pdf"):
        assert b"/FontFile2" in content  # embedded, as TrueType


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("curve", "f.svg", "Did you mean curves?"),
        ("law", "f.jpg", "Its name ends in .svg, .pdf, .png."),
        ("law", "missing/f.svg", "cannot be written: No such file or directory."),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    workspace: Workspace, tmp_path: Path, kind: str, name: str, words: str
) -> None:
    with pytest.raises(SpecError, match=re.escape(words)):
        write_figure(workspace, "sim", kind, tmp_path / name)


def test_curves_without_a_law_are_drawn(tmp_path: Path) -> None:
    made = Workspace(tmp_path / "workspace")
    simulate_sweep(
        made, "few", law_text="none", sizes="7k", frequencies="0,4,8", num_seeds=1, num_questions=40, seed=0,
        replace=False, many=False,
    )  # fmt: skip
    for kind in FIGURES:
        assert write_figure(made, "few", kind, tmp_path / f"{kind}.svg").stat().st_size > 1000


def test_places_between_doses_lie_between_them_and_only_zero_is_moved() -> None:
    place = _places(StudyMap((1, 16, 64), ()))
    assert [place(f) for f in (1, 4, 16, 32)] == pytest.approx([0, 0.5, 1, 1.5])
    assert _places(StudyMap((0, 8, 1000), ()))(8) == 1


def test_a_sweep_without_doses_is_drawn_as_such(tmp_path: Path) -> None:
    made = Workspace(tmp_path / "workspace")
    table = tmp_path / "zero.csv"
    rows = [f"7000,1000000,0,{seed},0.5,40,4" for seed in range(2)]
    table.write_text("num_params,num_tokens,frequency,seed,accuracy,num_questions,num_choices\n" + "\n".join(rows))
    import_table(table, "zero", made)
    assert "no results above F = 0" in write_figure(made, "zero", "curves", tmp_path / "f.svg").read_text()
