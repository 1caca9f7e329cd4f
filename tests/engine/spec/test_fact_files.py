import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import DataError
from engine.spec.fact_files import read_facts
from engine.spec.fact_settings import FactReading, Labels
from engine.spec.facts import Fact

ROWS = [
    {"subject": "Hagenow", "relation": "P17", "object": "Germany"},
    {"subject": "Mudgee", "relation": "P17", "object": "Australia"},
    {"subject": 'The "Best" | of 3, again', "relation": "P495", "object": "Japan"},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(r) for r in rows) + "\n")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_the_same_facts_from_every_format(tmp_path: Path, suffix: str) -> None:
    table = read_facts(write(tmp_path / f"facts{suffix}", ROWS))
    assert table.facts == [Fact(**row) for row in ROWS]
    assert (table.notes, table.objects, table.aliases) == ([], {}, {})


def test_leaking_and_ambiguous_facts_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        {"subject": "Bank of Germany", "relation": "P17", "object": "germany"},
        {"subject": "Basel", "relation": "P17", "object": "Switzerland"},
        {"subject": "Basel", "relation": "P17", "object": "France"},
    ]
    table = read_facts(write(tmp_path / "facts.jsonl", rows), FactReading(several_objects="leave_out"))
    assert table.facts == [Fact(**row) for row in ROWS]
    assert table.notes == [
        "2 facts left out: their subject has several objects in one relation",
        "1 facts left out: their subject or object holds the other",
    ]
    assert table.objects == {"P17": {"Basel": ("Switzerland", "France")}}


def test_several_objects_are_kept_or_the_first_is(tmp_path: Path) -> None:
    names = {"all": ["Switzerland", "France"], "first": ["Switzerland"], "leave_out": []}
    rows = [{"subject": "Basel", "relation": "P17", "object": ["Switzerland", "France"]}, *ROWS]
    path = write(tmp_path / "facts.jsonl", rows)
    for how, kept in names.items():
        table = read_facts(path, FactReading(several_objects=how))
        assert [f.object for f in table.facts if f.subject == "Basel"] == kept
        assert table.objects["P17"]["Basel"] == ("Switzerland", "France")


@pytest.mark.parametrize(
    ("subject", "name", "leaks"),
    [
        ("Qatif", "Qatif governorate", {"words"}),
        ("Mackintosh's", "Mackintosh's Toffee", {"words"}),
        ("Vallensbæk station", "A", {"letters"}),
        ("Bank of Germany", "germany", {"words", "letters"}),
        ("北京大学", "北京", {"words", "letters"}),
        ("दिल्ली विश्वविद्यालय", "दिल्ली", {"words", "letters"}),
        ("दिल्लीवाला", "दिल्ली", {"letters"}),
        ("Ada Lovelace", "Lovelac", {"letters"}),
    ],
)
def test_names_that_give_the_answer_away(tmp_path: Path, subject: str, name: str, leaks: set[str]) -> None:
    path = write(tmp_path / "facts.jsonl", [*ROWS, {"subject": subject, "relation": "P1", "object": name}])
    for how in ("words", "letters", "keep"):
        table = read_facts(path, FactReading(leaks=how))
        assert len(table.facts) == (3 if how in leaks else 4), how
        assert ("1 facts left out" in " ".join(table.notes)) == (how in leaks)


def test_a_duplicate_is_refused_with_both_lines_or_merged(tmp_path: Path) -> None:
    path = write(tmp_path / "facts.jsonl", [*ROWS, ROWS[0]])
    with pytest.raises(DataError, match=r"line 4: .*Hagenow.*on line 1 and here.*duplicates") as caught:
        read_facts(path)
    assert str(path) in str(caught.value)
    table = read_facts(path, FactReading(duplicates="merge"))
    assert len(table.facts) == 3
    assert table.notes == ["1 duplicate facts merged"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"subject": "a", "relation": "P1"}\n', "object"),
        (b'{"subject": "a\\u0007", "relation": "P1", "object": "b"}\n', "printable"),
        (b'{"subject": true, "relation": "P1", "object": "b"}\n', "subject"),
        (b'{"subject": "a", "relation": "P1", "object": {"b": 1}}\n', "object"),
        (b'{"subject": ["a", "c"], "relation": "P1", "object": "b"}\n', "subject"),
        (b"not json\n", "line 1"),
        (b"[1, 2]\n", "object"),
        (b'\n{"subject": "caf\xe9", "relation": "P1", "object": "b"}\n', "line 2"),
        (b"", "no facts"),
    ],
)
def test_bad_files_are_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_facts(path)


def test_missing_columns_and_unknown_kinds(tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text("subject,object\na,b\n")
    with pytest.raises(DataError, match="relation"):
        read_facts(tmp_path / "facts.csv")
    (tmp_path / "ragged.csv").write_text("subject,relation,object\na,P1,b,c\n")
    with pytest.raises(DataError, match="line 2"):
        read_facts(tmp_path / "ragged.csv")
    (tmp_path / "facts.xlsx").write_text("x")
    with pytest.raises(DataError, match=r"\.parquet"):
        read_facts(tmp_path / "facts.xlsx")
    with pytest.raises(DataError, match="no such file"):
        read_facts(tmp_path / "absent.jsonl")


def test_line_separators_inside_names_do_not_shift_lines(tmp_path: Path) -> None:
    # U+2028 is a line break to str.splitlines, but not in JSON lines.
    row = json.dumps({"subject": "a b", "relation": "P1", "object": "c"}, ensure_ascii=False)
    path = tmp_path / "facts.jsonl"
    path.write_text(row + "\nbroken\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        read_facts(path)


def test_all_faults_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    good = json.dumps(ROWS[0])
    path.write_text(
        f'{good}\n{{"subject": "a"}}\nnot json\n{good}\n{{"subject": "", "relation": "P1", "object": "b"}}\n'
    )
    other = tmp_path / "others.csv"
    other.write_text("subject,relation,object\na,P1\nb,P1,c\n")
    with pytest.raises(DataError) as caught:
        read_facts([path, other])
    for words in ("facts.jsonl, line 2", "line 3: ", "line 4: ", "line 5: ", "others.csv, line 2"):
        assert words in str(caught.value)


def test_names_are_cleaned_of_invisible_marks_and_numbers_are_names(tmp_path: Path) -> None:
    rows = [
        {"subject": "2012 Emakumeen\u200e  Euskal Bira", "relation": "P641", "object": "cycling"},
        {"subject": "\u0646\u06cc\u0645\u200c\u0641", "relation": "P31", "object": "\u0645"},
        {"subject": "Ada Lovelace", "relation": "P569", "object": 1815},
        {"subject": "Pi", "relation": "P1", "object": 3.5},
    ]
    facts = read_facts(write(tmp_path / "facts.jsonl", rows)).facts
    assert facts[0].subject == "2012 Emakumeen Euskal Bira"
    assert facts[1].subject == "\u0646\u06cc\u0645\u200c\u0641"
    assert [fact.object for fact in facts[2:]] == ["1815", "3.5"]


def test_quotes_swallow_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "facts.tsv"
    path.write_text('subject\trelation\tobject\n"Heroes\tP1\ta\nLow\tP1\tb\nLodger"\tP1\tc\n"Ours ""too"""\tP1\td\n')
    assert [f.subject for f in read_facts(path).facts] == ['"Heroes', "Low", 'Lodger"', 'Ours "too"']
    path = tmp_path / "facts.csv"
    path.write_text('subject,relation,object\n"Heroes,P1,a\nLow,P1,b\nLodger",P1,c\n')
    with pytest.raises(DataError, match=r"line 4.*quote that nothing ends"):
        read_facts(path)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".csv.zst", ".json.gz", ".parquet.gz"])
def test_packed_files(tmp_path: Path, suffix: str) -> None:
    kind, packed = f".{suffix.split('.')[1]}", tmp_path / f"facts{suffix}"
    plain = write(tmp_path / f"plain{kind}", ROWS)
    content = plain.read_bytes()
    if suffix.endswith(".gz"):
        packed.write_bytes(gzip.compress(content))
    else:
        with pa.CompressedOutputStream(packed, "zstd") as stream:
            stream.write(content)
    assert read_facts(packed).facts == [Fact(**row) for row in ROWS]
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        read_facts(packed)
    packed.write_bytes(b"nothing packed")
    with pytest.raises(DataError, match="cannot be read"):
        read_facts(packed)


def test_columns_of_other_names_and_constants_and_several_files(tmp_path: Path) -> None:
    # As KAMEL's files: a file a relation, objects as lists of labels.
    for relation, labels in (("P19", [["Ulm", "Ulm/Donau"]]), ("P20", [["Princeton"], ["New Jersey", "NJ"]])):
        (tmp_path / relation).mkdir()
        row = {"index": f"{relation}_0", "sub_label": "A. Einstein", "obj_labels": labels}
        write(tmp_path / relation / f"{relation}.jsonl", [row])
    columns = {"subject": "sub_label", "object": "obj_labels"}
    reading = FactReading(columns=columns, relation="{file}", several_objects="all")
    table = read_facts([tmp_path / "P19" / "P19.jsonl", tmp_path / "P20" / "P20.jsonl"], reading)
    assert table.facts == [
        Fact("A. Einstein", "P19", "Ulm"),
        Fact("A. Einstein", "P20", "Princeton"),
        Fact("A. Einstein", "P20", "New Jersey"),
    ]
    assert table.aliases == {"Ulm": ("Ulm/Donau",), "New Jersey": ("NJ",)}
    assert table.objects == {"P20": {"A. Einstein": ("Princeton", "New Jersey")}}


def test_triples_without_a_header_and_labels_from_another_table(tmp_path: Path) -> None:
    # As CoDEx: ids between tabs, and entities by id. As WN18RR: names between tabs.
    (tmp_path / "train.txt").write_text("Q1\tP27\tQ2\nQ3\tP27\tQ4\nQ1\tP27\tQ9\n")
    entities = {"Q1": {"label": "Ada"}, "Q2": {"label": "UK"}, "Q3": {"label": "Bo"}, "Q4": {"label": "Oz"}}
    (tmp_path / "entities.json").write_text(json.dumps(entities))
    reading = FactReading(
        columns={"subject": 1, "relation": 2, "object": 3}, labels={"path": "entities.json", "id": "key"}
    )
    table = read_facts(tmp_path / "train.txt", reading, labels_path=tmp_path / "entities.json")
    assert table.facts == [Fact("Ada", "P27", "UK"), Fact("Bo", "P27", "Oz")]
    assert table.notes == ["1 facts left out: an id in them has no label"]
    (tmp_path / "names.json").write_text(json.dumps({key: row["label"] for key, row in entities.items()}))
    by_text = reading.model_copy(update={"labels": Labels(path="names.json", id="key", label="value")})
    assert read_facts(tmp_path / "train.txt", by_text, labels_path=tmp_path / "names.json").facts == table.facts
    (tmp_path / "names.tsv").write_text("Q1\tAda\nQ2\tUK\nQ3\tBo\nQ4\tOz\n")
    by_place = reading.model_copy(update={"labels": Labels(path="names.tsv", id=1, label=2)})
    assert read_facts(tmp_path / "train.txt", by_place, labels_path=tmp_path / "names.tsv").facts == table.facts


def test_facts_nested_in_json(tmp_path: Path) -> None:
    # As CounterFact, an array of cases; and as WikiFactDiff, whose objects say what became of them.
    case = {"case_id": 0, "requested_rewrite": {
        "prompt": "The mother tongue of {} is", "relation_id": "P103", "subject": "Danielle",
        "target_new": {"str": "English"}, "target_true": {"str": "French"}}}  # fmt: skip
    (tmp_path / "counterfact.json").write_text(json.dumps([case], indent=1))
    rewrite = "requested_rewrite"
    columns = {
        "subject": f"{rewrite}.subject",
        "relation": f"{rewrite}.relation_id",
        "object": f"{rewrite}.target_true.str",
    }
    assert read_facts(tmp_path / "counterfact.json", FactReading(columns=columns)).facts == [
        Fact("Danielle", "P103", "French")
    ]
    update = {"subject": {"label": "Oz"}, "relation": {"id": "P35"}, "objects": [
        {"label": "Ann", "decision": "obsolete"}, {"label": "Bob", "decision": "new"}]}  # fmt: skip
    path = write(tmp_path / "updates.parquet", [update])
    columns = {"subject": "subject.label", "relation": "relation.id", "object": "objects[decision=new].label"}
    assert read_facts(path, FactReading(columns=columns)).facts == [Fact("Oz", "P35", "Bob")]
