import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.spec.fact_files import read_facts
from engine.spec.fact_settings import TemplateColumns, TemplateMarks
from engine.spec.facts import Fact
from engine.spec.templates import answer_prefix, ask, can_ask, read_templates, render

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
    relations = {f.relation for f in read_facts(samples / "facts.jsonl").facts}
    assert relations == set(templates)
    for one in templates.values():
        assert len(one.statements) >= 5
        assert len(one.questions) >= 2
        assert not set(one.statements) & set(one.questions)
        assert can_ask(one.statements[0])  # so that every relation has verbatim questions


def test_templates_of_other_dialects(tmp_path: Path) -> None:
    # As LAMA and ParaRel mark them; and as CounterFact, whose prompts end where the object begins.
    path = tmp_path / "templates.toml"
    path.write_text('[P19]\nstatements = ["[X] was born in [Y] ."]\nquestions = ["[X] is from [Y] ."]\n')
    marks = TemplateMarks(subject="[X]", object="[Y]")
    found = read_templates(path, marks=marks)["P19"]
    assert found.statements == ("{subject} was born in {object} .",)
    with pytest.raises(DataError, match=r"holds \{subject\} and \{object\} once each.*template_marks"):
        read_templates(path)
    path.write_text('[P103]\nstatements = ["The mother tongue of {} is"]\nquestions = ["{} speaks "]\n')
    found = read_templates(path, marks=TemplateMarks(subject="{}", object=""))["P103"]
    assert found.statements == ("The mother tongue of {subject} is {object}",)
    assert found.questions == ("{subject} speaks {object}",)


def test_templates_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "relations.jsonl"
    rows = [
        {"relation": "P19", "template": "[X] was born in [Y] ."},
        {"relation": "P19", "template": "[Y] is where [X] was born ."},
        {"relation": "P19", "template": "[X] was born in [Y] ."},
        {"relation": "P36", "template": "The capital of [X] is [Y] ."},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read_templates(path, marks=TemplateMarks(subject="[X]", object="[Y]"))
    assert found["P19"].statements == ("{subject} was born in {object} .", "{object} is where {subject} was born .")
    assert found["P19"].questions == ("{subject} was born in {object} .",)
    cases = [{"of": {"relation": "P103", "prompt": "The mother tongue of {} is"}}]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    columns = TemplateColumns(relation="of.relation", template="of.prompt")
    found = read_templates(tmp_path / "cases.json", columns, TemplateMarks(subject="{}", object=""))
    assert found["P103"].questions == ("The mother tongue of {subject} is {object}",)
    with pytest.raises(DataError, match=r"row 1.*template_columns"):
        read_templates(tmp_path / "cases.json")


def test_a_script_without_blanks_is_asked_without_one() -> None:
    template = "{subject}的首都是{object}。"
    assert can_ask(template)
    assert (ask(template, "法国"), answer_prefix(template)) == ("法国的首都是", "")
    assert (ask("{subject}: {object}.", "Ada"), answer_prefix("{subject}: {object}.")) == ("Ada:", " ")
    assert not can_ask("{subject}-{object}")
