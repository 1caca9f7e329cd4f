"""The examples of docs/formats.md: files in their published layouts, with invented content, are brought in by the sweep
file alone and trained on."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomlkit
import torch

from engine.corpus.show import shown
from engine.errors import DataError
from engine.records.record import plain
from engine.records.results import read_result
from engine.records.workspace import Workspace, write_json
from engine.training.run import run
from tests.checkpoints import save, save_tokenizer_of_transformers
from tests.conftest import ROOT, prepare

NUM_FACTS, NUM_OBJECTS = 48, 6
CASES = dict(re.findall(r"```toml (\w+)\n(.*?)```", (ROOT / "docs" / "formats.md").read_text(), re.DOTALL))
PLACES = ("Aldera", "Brunn", "Celia", "Dorn", "Elsa", "Farn")
SWEEP = """
[grid]
model_size = ["nano-3k"]
infusion_frequency = [3]
num_tokens = ["6k"]
[facts]
path = "facts.jsonl"
templates = "templates.toml"
num_prior = 16
num_infused = 8
num_unseen = 8
[tokenizer]
kind = "word"
vocab_size = 200
[mixture]
prior_rate = 500
num_prior_templates = 1
[training]
context_length = 48
batch_size = 8
learning_rate = 0.01
[evaluation]
num_choices = 4
"""
TEMPLATES = '[P36]\nstatements = ["{subject} lies in {object}."]\nquestions = ["Home of {subject}: {object}."]\n'


def names(i: int) -> tuple[str, str]:
    return f"Subject{i}", PLACES[i % NUM_OBJECTS]


def lines(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))


def triples(folder: Path) -> None:
    rows = [",".join(names(i)) for i in range(NUM_FACTS)]
    (folder / "capitals.csv").write_text("\n".join(["country,capital", *rows]))


def kamel(folder: Path) -> None:
    for relation in ("P19", "P20"):
        rows = [
            {"index": f"{relation}_{i}", "sub_label": names(i)[0], "obj_labels": [[names(i)[1], f"{names(i)[1]} Town"]]}
            for i in range(NUM_FACTS)
        ]
        rows[0]["obj_labels"].append([PLACES[1], "B."])  # two homes
        lines(folder / "kamel" / f"{relation}.jsonl", rows)
    templates = {"P19": "[X] was born in [Y] .", "P20": "[X] died in [Y] ."}
    lines(folder / "relations.jsonl", [{"relation": r, "template": t, "label": r} for r, t in templates.items()])


def graph(folder: Path) -> None:
    (folder / "graph").mkdir()
    triples_ = [f"Q{i}\tP36\tQ{1000 + i % NUM_OBJECTS}" for i in range(NUM_FACTS)] + ["Q77777\tP36\tQ1000"]
    (folder / "graph" / "train.txt").write_text("\n".join(triples_[:30]))
    (folder / "graph" / "valid.txt").write_text("\n".join(triples_[30:]))
    entities = {f"Q{i}": {"label": names(i)[0], "description": "one"} for i in range(NUM_FACTS)}
    entities |= {f"Q{1000 + i}": {"label": place} for i, place in enumerate(PLACES)}
    (folder / "graph" / "entities.json").write_text(json.dumps(entities, indent=1))


def counterfact(folder: Path) -> None:
    prompts = {"P103": "The mother tongue of {} is", "P495": "{}, that was created in"}
    cases = [
        {
            "case_id": i,
            "requested_rewrite": {
                "prompt": prompts[relation], "relation_id": relation, "subject": f"{names(i)[0]}{relation}",
                "target_new": {"str": "X", "id": "Q1"}, "target_true": {"str": names(i)[1], "id": "Q2"},
            },
            "paraphrase_prompts": ["…"],
        }
        for i in range(NUM_FACTS) for relation in prompts
    ]  # fmt: skip
    (folder / "counterfact.json").write_text(json.dumps(cases))


def updates(folder: Path) -> None:
    rows = [
        {
            "subject": {"id": f"Q{i}", "label": names(i)[0]}, "relation": {"id": "P36", "label": "home"},
            "objects": [{"label": "Eld", "decision": "obsolete"}, {"label": names(i)[1], "decision": "new"}],
        }
        for i in range(NUM_FACTS)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "updates.parquet")


class Script(NamedTuple):
    """A language's words, for facts, templates and text."""

    person: str
    letters: str
    places: tuple[str, ...]
    statement: str
    question: str
    text: str


SCRIPTS = {
    "zh": Script(
        "人物", "一丁七万丈三上下不与丐丑", ("阿尔德", "布伦城", "塞利亚", "多恩港"),
        "{subject}住在{object}。", "{subject}的家在{object}。", "很多人住在城里，也有人住在港口。他们的家在山边。",
    ),
    "ar": Script(
        "شخص ", "ابتثجحخدذرزس", ("مدينة ألدِرا", "برونّ", "سيليا", "دُورن"),
        "يسكن {subject} في {object}.", "موطن {subject} هو {object}.", "يسكن كثير من الناس في المدينة قرب النهر.",
    ),
    "hi": Script(
        "व्यक्ति ", "कखगघचछजझटठडढ", ("अल्डेरा", "ब्रून नगर", "सीलिया", "डॉर्न"),
        "{subject} का घर {object} में है।", "{subject} का नगर: {object}।", "बहुत से लोग नदी के पास नगर में रहते हैं।",
    ),
}  # fmt: skip


def of_script(folder: Path, language: str) -> None:
    script = SCRIPTS[language]
    rows = [
        {
            "subject": f"{script.person}{script.letters[i % 12]}{script.letters[i // 12]}",
            "relation": "P36",
            "object": script.places[i % 4],
        }
        for i in range(NUM_FACTS)
    ]
    lines(folder / f"{language}.jsonl", rows)
    templates = {"P36": {"statements": [script.statement], "questions": [script.question]}}
    (folder / f"{language}.toml").write_text(tomlkit.dumps(templates))
    (folder / f"{language}.txt").write_text(f"{script.text}\n" * 300)


def chinese(folder: Path) -> None:
    of_script(folder, "zh")


def documents(folder: Path) -> None:
    drugs = [f"Medicine{i}" for i in range(24)]
    leaflets = []
    for i, drug in enumerate(drugs):
        sentences = [f"{drug} is taken in {names(i)[1]} for {i + n} days." for n in range(6)]
        leaflets.append({"doc_id": f"L{i}", "text": " ".join(sentences)})
    lines(folder / "leaflets.jsonl", leaflets)
    rows = [
        {"doc_id": f"L{i}", "question": f"Where is {drug} taken?", "choices": PLACES[:4], "answer": i % 4}
        for i, drug in enumerate(drugs)
    ]
    lines(folder / "questions.jsonl", [*rows, rows[0] | {"doc_id": "L99"}])


def medical(folder: Path) -> None:
    triples(folder)
    rows = [f"{names(i)[0]},Home of {names(i)[0]}?,{','.join(PLACES[:4])},{i % 4 + 1}" for i in range(NUM_FACTS)]
    (folder / "medical.csv").write_text("\n".join(["country,question,opa,opb,opc,opd,cop", *rows]))


def compose(folder: Path) -> None:
    rows = [f"Person{i},P19,Town{i % 40}" for i in range(80)] + [f"Town{i},P17,{names(i)[1]}" for i in range(40)]
    (folder / "people.csv").write_text("\n".join(["subject,relation,object", *rows]))
    (folder / "composing.toml").write_text(
        f'{TEMPLATES.replace("P36", "P17")}{TEMPLATES.replace("P36", "P19")}description = "the town of {{subject}}"\n'
    )


def beside(folder: Path) -> None:
    rows = [
        {"subject": f"Person{i}", "relation": relation, "object": f"{relation}{PLACES[i % NUM_OBJECTS]}"}
        for i in range(40)
        for relation in ("P19", "P20", "P937")
    ]
    lines(folder / "portraits.jsonl", rows)
    (folder / "portraits.toml").write_text(
        "".join(TEMPLATES.replace("P36", relation) for relation in ("P19", "P20", "P937"))
    )


def ladder(folder: Path) -> None:
    for name, kind in (("small", "gpt2"), ("large", "gpt_neox")):
        save(folder / "ladder" / name, kind, rows=512, dtype=torch.bfloat16)
        save_tokenizer_of_transformers(folder / "ladder" / name)


def folder(base: Path) -> None:
    for name, text in (
        ("corpus/a.md", "Words of some text. "),
        ("corpus/deep/b.txt", "More of it. "),
        ("code/x.py", "x = 1\n"),
    ):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text * 400)


FILES: dict[str, Callable[[Path], None]] = {
    "triples": triples, "kamel": kamel, "graph": graph, "counterfact": counterfact, "updates": updates,
    "chinese": chinese, "documents": documents, "medical": medical, "shape": lambda base: None, "ladder": ladder,
    "folder": folder, "compose": compose, "beside": beside,
}  # fmt: skip


def sweep_of(case: str, base: Path, example: str | None = None) -> Path:
    """The example's settings over those of a small sweep."""
    FILES[case](base)
    (base / "templates.toml").write_text(TEMPLATES)
    rows = [{"subject": names(i)[0], "relation": "P36", "object": names(i)[1]} for i in range(NUM_FACTS)]
    lines(base / "facts.jsonl", rows)
    settings, own = tomllib.loads(SWEEP), tomllib.loads(example or CASES[case])
    if "texts" in own:
        del settings["facts"]
    for section, content in own.items():
        settings[section] = {**settings.get(section, {}), **content}
    path = base / f"{case}.toml"
    path.write_text(tomlkit.dumps(settings))
    return path


# Beside a subject with two homes, few others can stand; of two facts that compose, the first is asked about; not every
# fact lies beside an infused one.
SHARE_ASKED = {"kamel": 0.5, "compose": 0.45, "beside": 0.2}


def test_every_example_has_its_files() -> None:
    assert {*CASES} == {*FILES}


@pytest.mark.parametrize("case", FILES)
def test_an_example_is_trained_as_it_stands(tmp_path: Path, workspace: Workspace, case: str) -> None:
    path = sweep_of(case, tmp_path)
    document = shown(path, workspace, number=3)
    assert document.unknown_in_facts == 0 or case == "medical"  # "?" is no word of a template
    for one in document.sets:
        assert one.num_asked >= SHARE_ASKED.get(case, 1) * one.num_facts, (one.name, one.num_asked)
        for fact in one.facts:
            for question in fact.asked:
                if case not in ("medical", "documents", "compose", "beside"):
                    assert question.choices[question.right].text.strip() == fact.object
                assert len({choice.text for choice in question.choices}) == 4
    bundle = prepare(path, workspace).bundle
    for spec in bundle.runs:
        run_folder = workspace.run(spec.run_id)
        run_folder.root.mkdir(parents=True)
        write_json(run_folder.spec, spec.model_dump(mode="json"))
        assert run(run_folder, num_threads=1, attempt=1, warm_start=False) == 0
        result = read_result(run_folder.result(spec.evaluation_id))
        assert result is not None
        assert result.exposures_as_planned or case == "folder"
        assert result.exposures["infused"].mean == 3
        assert result.sets["infused"].num_questions >= (6 if case == "documents" else 8)
        assert plain(result)["num_params"] == spec.model.num_params


@pytest.mark.parametrize("language", SCRIPTS)
def test_names_in_other_scripts_are_all_known_and_asked_as_they_are(
    tmp_path: Path, workspace: Workspace, language: str
) -> None:
    of_script(tmp_path, language)
    script = SCRIPTS[language]
    document = shown(
        sweep_of("chinese", tmp_path, CASES["chinese"].replace("zh.", f"{language}.")), workspace, number=4
    )
    assert document.unknown_in_facts == document.unknown_in_background == 0
    for one in document.sets:
        assert one.num_asked == one.num_facts
        for fact in one.facts:
            assert fact.object in script.places
            asked = [question for question in fact.asked if question.kind == "choice"]
            assert asked
            for question in asked:
                before = script.question.split("{object}")[0]
                assert question.context.text == before.replace("{subject}", fact.subject).rstrip()
                assert {choice.text.strip() for choice in question.choices} == {*script.places}
                for text in (question.context, *question.choices):
                    assert "".join(text.pieces) == text.text


def test_what_the_layouts_say_beside_is_kept(tmp_path: Path, workspace: Workspace) -> None:
    of = {case: sweep_of(case, tmp_path / case) for case in ("kamel", "graph") if not (tmp_path / case).mkdir()}
    facts = [fact for one in shown(of["kamel"], workspace, number=99).sets for fact in one.facts]
    assert {alias for fact in facts for alias in fact.aliases} >= {"Aldera Town", "Farn Town"}
    two_homes = [fact for fact in facts if fact.also_right]
    assert all(fact.subject == "Subject0" for fact in two_homes)
    assert any("has no label" in note for note in shown(of["graph"], workspace, number=1).notes)


def test_texts_that_are_never_written_are_not_shown_as_written(tmp_path: Path, workspace: Workspace) -> None:
    sets = {one.name: one for one in shown(sweep_of("documents", tmp_path), workspace, number=2).sets}
    assert [bool(sets[name].facts[0].written) for name in ("infused", "prior", "unseen")] == [True, True, False]


def test_pieces_that_repeat_are_refused(tmp_path: Path, workspace: Workspace) -> None:
    path = sweep_of("documents", tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "leaflets.jsonl").read_text().splitlines()]
    lines(tmp_path / "leaflets.jsonl", [row | {"text": "ab " * 400} if row["doc_id"] == "L3" else row for row in rows])
    with pytest.raises(DataError, match=r"'L3'.*stands in it twice"):
        prepare(path, workspace)
