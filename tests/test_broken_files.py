"""Broken files of every kind that a sweep names: refused while planning, with one message that names all faults and
their places, exit code 2, and nothing written."""

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomlkit

from engine.corpus.prepare import plan
from engine.errors import KituiError
from engine.records.workspace import Workspace
from tests.checkpoints import save, save_tokenizer_of_transformers
from tests.conftest import CommandLine
from tests.test_formats import NUM_FACTS, PLACES, SWEEP, TEMPLATES, names

GOOD_ROWS = [{"subject": names(i)[0], "relation": "P36", "object": names(i)[1]} for i in range(NUM_FACTS)]
TEXTS = [{"id": f"L{i}", "text": f"Leaflet {i} says that {names(i)[0]} lies in {names(i)[1]}."} for i in range(24)]
QUESTIONS = [{"id": f"L{i}", "question": "Where?", "choices": PLACES[:4], "answer": i % 4} for i in range(24)]


class Broken(NamedTuple):
    """Files, settings that name them, and what the message is to say."""

    files: dict[str, str | bytes | Callable[[Path], Any]]
    settings: dict[str, dict[str, Any] | None]
    says: tuple[str, ...]


def jsonl(rows: list[Any]) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n"


def csv_of(*rows: str, header: str = "subject,relation,object") -> str:
    return "\n".join([header, *(f"{r['subject']},{r['relation']},{r['object']}" for r in GOOD_ROWS), *rows]) + "\n"


def facts(name: str, content: str | bytes | Callable[[Path], Any], *says: str, **settings: Any) -> Broken:
    return Broken({name: content}, {"facts": {"path": name, **settings}}, (name, *says))


def templates(content: str, *says: str, name: str = "own.toml", **settings: Any) -> Broken:
    return Broken({name: content}, {"facts": {"templates": name, **settings}}, (name, *says))


def background(name: str, content: str | bytes | Callable[[Path], Any], *says: str, **settings: Any) -> Broken:
    return Broken(
        {name: content}, {"background": {"source": "files", "path": name, "heldout_tokens": 50, **settings}}, says
    )


def texts(rows: list[Any], *says: str, **settings: Any) -> Broken:
    of_texts = {"path": "texts.jsonl", "num_prior": 8, "num_infused": 6, "num_unseen": 6, **settings}
    files: dict[str, str | bytes | Callable[[Path], Any]] = {
        "texts.jsonl": jsonl(rows), "questions.jsonl": jsonl(QUESTIONS),
    }  # fmt: skip
    evaluation = {"kind": "own_choices", "questions": "questions.jsonl"}
    return Broken(files, {"facts": None, "texts": of_texts, "evaluation": evaluation}, says)


def questions(rows: list[Any], *says: str, **columns: Any) -> Broken:
    broken = texts(TEXTS, *says)
    evaluation = {"kind": "own_choices", "questions": "questions.jsonl", "question_columns": columns}
    return broken._replace(
        files={**broken.files, "questions.jsonl": jsonl(rows)}, settings={**broken.settings, "evaluation": evaluation}
    )


def checkpoint(break_it: Callable[[Path], Any], *says: str, **training: Any) -> Broken:
    def make(folder: Path) -> None:
        save(folder, "gpt2", rows=512, length=64)
        save_tokenizer_of_transformers(folder)
        break_it(folder)

    settings: dict[str, dict[str, Any] | None] = {
        "grid": {"model_size": ["own"]},
        "models": {"own": {"init_from": "own"}},
        "tokenizer": {"kind": "hf", "name": "own"},
        "training": training,
    }
    return Broken({"own": make}, settings, says)


def parquet(rows: list[dict[str, Any]]) -> Callable[[Path], Any]:
    return lambda path: pq.write_table(pa.Table.from_pylist(rows), path)


def config(**changes: Any) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def cut(name: str, num_bytes: int) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:num_bytes])


def lying_header(folder: Path) -> None:
    """A weights file whose header is said to be longer than the file."""
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 2**40) + path.read_bytes()[8:])


LINES_50_52 = ("line 50", "line 52")
NO_ANSWER = {"id": "L1", "question": "Where?", "choices": PLACES[:4]}
BROKEN = {
    # Facts
    "csv without a column": facts("own.csv", csv_of(header="subject,relation,thing"), "object"),
    "csv with rows too short": facts("own.csv", csv_of("only", "A,P36,B", "alone"), *LINES_50_52),
    "csv with rows too long": facts("own.csv", csv_of("a,P36,b,c", "A,P36,B", "d,P36,e,f"), *LINES_50_52),
    "csv with empty names": facts("own.csv", csv_of(",P36,Rome", "A,P36,B", "X,P36,"), *LINES_50_52),
    "csv with a quote that nothing ends": facts(
        "own.csv", csv_of('"open,P36,Rome', "A,P36,B"), "after line 49", "quote"
    ),
    "csv with a fact twice": facts(
        "own.csv", csv_of("Subject0,P36,Aldera", "Subject1,P36,Brunn"), "line 50", "line 51"
    ),
    "csv that is not UTF-8": facts("own.csv", csv_of().encode() + b"\xff\xfe,P36,Rome\n", "UTF-8", "line 50"),
    "csv with a NUL": facts("own.csv", csv_of("A\x00B,P36,Rome"), "line 50"),
    "csv of nothing": facts("own.csv", ""),
    "csv of a header alone": facts("own.csv", "subject,relation,object\n", "no facts"),
    "csv with one column twice": facts("own.csv", csv_of(header="subject,relation,relation"), "relation"),
    "tsv with rows too short": facts("own.tsv", csv_of("only", "A,P36,B", "alone").replace(",", "\t"), *LINES_50_52),
    "txt with places of columns that are not there": facts(
        "own.txt", "a\tP36\tb\nonly\n", "line 2", columns={"subject": 1, "relation": 2, "object": 3}
    ),
    "jsonl with a line that is not JSON": facts("own.jsonl", jsonl([*GOOD_ROWS, "{oops"]), "line 49"),
    "jsonl with rows that are no objects": facts("own.jsonl", jsonl([*GOOD_ROWS, "[1]", "7"]), "line 49"),
    "jsonl without a key": facts(
        "own.jsonl", jsonl([*GOOD_ROWS, {"subject": "A"}, {"object": "B"}]), "line 49", "line 50"
    ),
    "jsonl with names that are none": facts(
        "own.jsonl",
        jsonl([*GOOD_ROWS, {**GOOD_ROWS[0], "subject": None}, {**GOOD_ROWS[0], "object": {"a": 1}}]),
        "line 49", "line 50",
    ),
    "jsonl with a line break in a name": facts(
        "own.jsonl", jsonl([*GOOD_ROWS, {**GOOD_ROWS[0], "subject": "two\nlines"}]), "line 49"
    ),
    "jsonl with numbers that are none": facts("own.jsonl", jsonl([*GOOD_ROWS, '{"subject": NaN}']), "line 49"),
    "json that ends too soon": facts("own.json", json.dumps(GOOD_ROWS)[:-9]),
    "json that is a number": facts("own.json", "7"),
    "json nested too deep": facts("own.json", "[" * 5000 + "]" * 5000),
    "nested json without the path": facts(
        "own.json", json.dumps([{"fact": {"s": "A", "o": "B"}}]), "fact.subject",
        columns={"subject": "fact.subject", "object": "fact.o"}, relation="P36",
    ),
    "parquet that is none": facts("own.parquet", b"PAR1 not at all"),
    "parquet without a column": facts("own.parquet", parquet([{"subject": "A", "relation": "P36"}]), "object"),
    "gz that is none": facts("own.csv.gz", csv_of().encode()),
    "gz that ends too soon": facts("own.csv.gz", gzip.compress(csv_of().encode())[:-20]),
    "zst that is none": facts("own.jsonl.zst", jsonl(GOOD_ROWS).encode()),
    "a kind of file that is none of facts": facts("own.xlsx", b"PK\x03\x04"),
    "a folder in the place of facts": facts("own.jsonl", lambda path: path.mkdir()),
    "a pattern that nothing matches": Broken({}, {"facts": {"path": "none/*.csv"}}, ("none/*.csv",)),
    "several files, each with a fault": Broken(
        {"a/1.csv": csv_of("only"), "a/2.csv": "subject,relation,object\nalone\n"},
        {"facts": {"path": "a/*.csv"}},
        ("1.csv, line 50", "2.csv, line 2"),
    ),
    "relations without templates": Broken(
        {"own.csv": csv_of("A,P1,Rome", "B,P2,Rome")}, {"facts": {"path": "own.csv"}}, ("P1", "P2", "templates.toml")
    ),
    "a relation that is not there": facts("own.csv", csv_of(), "P99", relations=["P99"]),
    "labels without a column": Broken(
        {"own.csv": csv_of(), "labels.csv": "id,name\nQ1,One\n"},
        {"facts": {"path": "own.csv", "labels": {"path": "labels.csv", "id": "id", "label": "label"}}},
        ("labels.csv", "label"),
    ),
    "labels that fit none": Broken(
        {"own.csv": csv_of(), "labels.csv": "id,label\nQ1,One\n"},
        {"facts": {"path": "own.csv", "labels": {"path": "labels.csv", "id": "id", "label": "label"}}},
        ("label",),
    ),
    # Templates
    "templates that are no TOML": templates("[P36\n", "line 1"),
    "templates without a place": templates(
        TEMPLATES.replace("{object}.", "it."), "P36.statements[0]", "P36.questions[0]"
    ),
    "templates without questions": templates('[P36]\nstatements = ["{subject} lies in {object}."]\n', "P36.questions"),
    "a question that ends too soon": templates(
        TEMPLATES.replace("Home of {subject}: {object}.", "{object} is home of {subject}."), "P36.questions[0]"
    ),
    "templates with a key that is none": templates(TEMPLATES + 'statments = ["x"]\n', "statments", "statements"),
    "a description without a place": templates(TEMPLATES + 'description = "the home"\n', "P36.description"),
    "templates that ask for more than there are": Broken(
        {}, {"evaluation": {"question_template": 3}}, ("question_template",)
    ),
    "a table of templates with other marks": templates(
        jsonl([{"relation": "P36", "template": "[X] lies in [Y]."}]), "template_marks", name="own.jsonl"
    ),
    "a table of templates without relations": templates(
        jsonl([{"template": "{subject} lies in {object}."}]), "line 1", "relation", name="own.jsonl"
    ),
    # Texts, and questions of one's own
    "texts without an id": texts([*TEXTS, {"text": "alone"}, {"id": "L99"}], "line 25", "line 26"),
    "texts with one id twice": texts([*TEXTS, TEXTS[0]], "line 25", "L0"),
    "texts that are empty": texts(
        [*TEXTS, {"id": "L98", "text": ""}, {"id": "L99", "text": None}], "line 25", "line 26"
    ),
    "fewer texts than wanted": texts(TEXTS[:5], "20", "5"),
    "questions without answers": questions([*QUESTIONS, NO_ANSWER, NO_ANSWER], "line 25", "line 26", "answer"),
    "answers that are no options": questions(
        [*QUESTIONS, {**NO_ANSWER, "answer": "Nowhere"}, {**NO_ANSWER, "answer": 9}], "line 25", "line 26"
    ),
    "options that are alike": questions([*QUESTIONS, {**NO_ANSWER, "choices": ["a", "a"], "answer": 0}], "line 25"),
    "questions about nothing": questions([{**QUESTIONS[0], "id": "X"}], "none of its 1 questions"),
    "questions under other names": questions(QUESTIONS, "line 1", "doc", id="doc"),
    # Backgrounds
    "a text that is not UTF-8": background("own.txt", b"good line\n\xff\xfe bad\n", "own.txt", "line 2", "UTF-8"),
    "a text without tokens": background("own.txt", "", "background"),
    "json lines without the field": background("own.jsonl", jsonl([{"body": "x"}]), "line 1", "text_field"),
    "json lines with a number for text": background("own.jsonl", jsonl([{"text": "x"}, {"text": 7}]), "line 2"),
    "a table that ends too soon": background(
        "own.jsonl.gz", gzip.compress(b'{"text": "x"}\n' * 99)[:-9], "own.jsonl.gz"
    ),
    "a folder without text": background("corpus", lambda path: path.mkdir(), "corpus"),
    "parquet without the text": background("own.parquet", parquet([{"body": "x"}]), "text_field"),
    # Checkpoints
    "a checkpoint without a config": checkpoint(lambda folder: (folder / "config.json").unlink(), "config.json"),
    "a config that is no JSON": checkpoint(cut("config.json", 40), "config.json"),
    "an architecture that is none": checkpoint(config(model_type="nothing", architectures=["Nothing"]), "nothing"),
    "code of its own": checkpoint(
        config(model_type="own", auto_map={"AutoModelForCausalLM": "x.Y"}, architectures=["Y"]), "own"
    ),
    "an encoder": checkpoint(config(model_type="bert", architectures=["BertModel"]), "bert"),
    "weights that are not there": checkpoint(lambda folder: (folder / "model.safetensors").unlink(), "own"),
    "weights that end too soon": checkpoint(cut("model.safetensors", 2000), "model.safetensors"),
    "weights with a header that lies": checkpoint(lying_header, "model.safetensors"),
    "weights of another width": checkpoint(config(n_embd=24, n_head=2), "hidden_size = 24"),
    "weights of fewer layers": checkpoint(config(n_layer=3), "3 layers"),
    "weights of another vocabulary": checkpoint(config(vocab_size=600), "vocab_size = 600"),
    "weights whose end is missing": checkpoint(
        lambda folder: cut("model.safetensors", (folder / "model.safetensors").stat().st_size - 9)(folder), "bytes"
    ),
    "a context beyond the positions": checkpoint(lambda folder: None, "64", context_length=128),
    "a tokenizer with more tokens than rows": checkpoint(
        lambda folder: [save(folder, "gpt2", rows=100, length=64)], "100"
    ),
    "a tokenizer that is none": checkpoint(cut("tokenizer.json", 50), "tokenizer.name"),
}  # fmt: skip


def write(case: Broken, folder: Path) -> Path:
    rows = "".join(json.dumps(row) + "\n" for row in GOOD_ROWS)
    for name, content in {"facts.jsonl": rows, "templates.toml": TEMPLATES, **case.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = tomlkit.parse(SWEEP).unwrap()
    for section, of_section in case.settings.items():
        if of_section is None:
            del settings[section]
        else:
            settings[section] = {**settings.get(section, {}), **of_section}
    path = folder / "sweep.toml"
    path.write_text(tomlkit.dumps(settings))
    return path


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*")}


# Making a checkpoint takes seconds: the default suite has two of these.
OF_CHECKPOINTS = {name for name, case in BROKEN.items() if "own" in case.files} - {
    "an encoder",
    "weights of another width",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in OF_CHECKPOINTS)) for name in BROKEN]
)
def test_a_broken_file_is_refused_while_planning(name: str, tmp_path: Path) -> None:
    case = BROKEN[name]
    path = write(case, tmp_path)
    before = tree(tmp_path)
    with pytest.raises(KituiError) as caught:
        plan(path, Workspace(tmp_path / "workspace"))
    message = str(caught.value)
    assert caught.value.exit_code == 2, message
    for part in case.says:
        assert part in message, message
    assert len(message) < 20 * 400  # twenty faults at most
    assert not any(word in message for word in ("Traceback", "Errno", "object at 0x", "numpy", "Exception")), message
    assert tree(tmp_path) == before


@pytest.mark.long
def test_the_command_says_it_once_and_ends_with_2(kitui: CommandLine, tmp_path: Path) -> None:
    path = write(BROKEN["csv with rows too short"], tmp_path)
    for command in ("plan", "launch", "show"):
        done = kitui(command, path)
        assert done.returncode == 2
        assert done.stderr.count("line 52") == 1
        assert not done.stdout
