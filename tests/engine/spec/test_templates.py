from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.spec.facts import Fact, read_facts
from engine.spec.templates import ask, can_ask, read_templates, render

GOOD = '[P17]\nstatements = ["{subject} lies in {object}."]\nquestions = ["Country of {subject}: {object}."]\n'


def test_rendering_and_asking() -> None:
    fact = Fact("Hagenow", "P17", "Germany")
    assert render("{subject} lies in {object}.", fact) == "Hagenow lies in Germany."
    assert render("It is {object} that holds {subject}.", fact) == "It is Germany that holds Hagenow."
    assert ask("Country of {subject}: {object}.", "Hagenow") == "Country of Hagenow:"


@given(st.text(min_size=1), st.text(min_size=1))
def test_braces_in_names_mean_nothing(subject: str, answer: str) -> None:
    for template in ("a {subject} b {object} c", "a {object} b {subject} c"):
        expected = template.replace("{subject}", "\0").replace("{object}", "\1").replace("\0", subject)
        if "\0" not in answer + subject and "\1" not in subject:
            assert render(template, Fact(subject, "P", answer)) == expected.replace("\1", answer)


def test_what_can_be_asked() -> None:
    assert can_ask("{subject} lies in {object}.")
    assert not can_ask("{object} holds {subject}.")
    assert not can_ask("{subject}:{object}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("{object}.", "there."), r"P17.statements\[0\]"),
        (
            GOOD.replace("Country of {subject}: {object}.", "{object} is where {subject} is"),
            r"P17.questions\[0\].*after",
        ),
        (GOOD.replace("questions", "qestions"), r"P17.qestions.*Did you mean questions"),
        ('[P17]\nstatements = ["{subject} lies in {object}."]\n', "no questions"),
        (GOOD.replace('["{subject} lies in {object}."]', "[]"), "no statements"),
        (
            GOOD.replace('["{subject} lies in {object}."]', '["{subject} in {object}", "{subject} in {object}"]'),
            "twice",
        ),
        ("P17 = 3\n", "expected a table"),
        ("[P17\n", "not valid TOML"),
    ],
)
def test_bad_templates_name_the_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "templates.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_templates(path)


def test_the_sample_templates_serve_all_sample_facts(samples: Path) -> None:
    templates = read_templates(samples / "templates.toml")
    relations = {f.relation for f in read_facts(samples / "facts.jsonl")[0]}
    assert relations == set(templates)
    for one in templates.values():
        assert len(one.statements) >= 5
        assert len(one.questions) >= 2
        assert not set(one.statements) & set(one.questions)
        assert can_ask(one.statements[0])  # so that every relation has verbatim questions
