import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.spec.facts import Fact, partition, read_facts

ROWS = [
    {"subject": "Hagenow", "relation": "P17", "object": "Germany"},
    {"subject": "Mudgee", "relation": "P17", "object": "Australia"},
    {"subject": 'The "Best" | of 3, again', "relation": "P495", "object": "Japan"},
]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".jsonl":
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
    facts, notes = read_facts(write(tmp_path / f"facts{suffix}", ROWS))
    assert facts == [Fact(**row) for row in ROWS]
    assert notes == []


def test_leaking_and_ambiguous_facts_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        {"subject": "Bank of Germany", "relation": "P17", "object": "germany"},
        {"subject": "Basel", "relation": "P17", "object": "Switzerland"},
        {"subject": "Basel", "relation": "P17", "object": "France"},
    ]
    facts, notes = read_facts(write(tmp_path / "facts.jsonl", rows))
    assert facts == [Fact(**row) for row in ROWS]
    assert notes == [
        "2 facts left out: their subject has several objects in one relation",
        "1 facts left out: their subject contains their object",
    ]


def test_a_duplicate_is_refused_with_both_lines_or_merged(tmp_path: Path) -> None:
    path = write(tmp_path / "facts.jsonl", [*ROWS, ROWS[0]])
    with pytest.raises(DataError, match=r"Hagenow.*lines 1 and 4.*duplicates") as caught:
        read_facts(path)
    assert str(path) in str(caught.value)
    facts, notes = read_facts(path, merge_duplicates=True)
    assert len(facts) == 3
    assert notes == ["1 duplicate facts merged"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"subject": "a", "relation": "P1"}\n', "object"),
        (b'{"subject": "a\\u0007", "relation": "P1", "object": "b"}\n', "printable"),
        (b'{"subject": 3, "relation": "P1", "object": "b"}\n', "subject"),
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


def pool(num_relations: int, num_objects: int, per_object: int) -> list[Fact]:
    return [
        Fact(f"s{r}-{o}-{i}", f"P{r}", f"o{r}-{o}")
        for r in range(num_relations)
        for o in range(num_objects)
        for i in range(per_object)
    ]


def test_partition_is_balanced_over_relations_and_objects() -> None:
    sets = partition(pool(4, 10, 8), num_prior=160, num_infused=80, num_unseen=40, facts_seed=3)
    assert [len(s) for s in sets] == [160, 80, 40]
    assert len({f for s in sets for f in s}) == 280
    for members in sets:
        assert len(set(Counter(f.relation for f in members).values())) == 1
        assert max(Counter(f.object for f in members).values()) - min(Counter(f.object for f in members).values()) <= 1


@given(st.integers(0, 5), st.randoms())
def test_partition_depends_on_the_facts_not_on_their_order(seed: int, random: object) -> None:
    facts = pool(3, 6, 5)
    shuffled = facts.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    sizes = {"num_prior": 30, "num_infused": 20, "num_unseen": 10, "facts_seed": seed}
    assert partition(facts, **sizes) == partition(shuffled, **sizes)
    other = partition(facts, **(sizes | {"facts_seed": seed + 1}))
    assert other != partition(facts, **sizes)


def test_only_the_most_frequent_objects() -> None:
    facts = [Fact(f"s{o}-{i}", "P1", f"o{o}") for o in range(10) for i in range(10 - o)]
    sets = partition(facts, num_prior=10, num_infused=10, num_unseen=0, facts_seed=0, objects_per_relation=4)
    assert {f.object for s in sets for f in s} == {"o0", "o1", "o2", "o3"}


def test_too_few_facts_name_what_there_is() -> None:
    with pytest.raises(DataError, match=r"50 facts are wanted.*only 30"):
        partition(pool(3, 2, 5), num_prior=30, num_infused=10, num_unseen=10, facts_seed=0)
    with pytest.raises(DataError, match="P9"):
        partition(pool(3, 2, 5), num_prior=1, num_infused=1, num_unseen=1, facts_seed=0, relations=["P1", "P9"])


def test_the_sample_facts_are_what_they_say(samples: Path) -> None:
    facts, notes = read_facts(samples / "facts.jsonl")
    assert len(facts) >= 2_500
    assert notes == []  # nothing leaking, ambiguous or twice
    relations = Counter(f.relation for f in facts)
    assert len(relations) >= 8
    for relation in relations:
        objects = Counter(f.object for f in facts if f.relation == relation)
        assert len(objects) >= 10
        assert min(objects.values()) >= 4
    assert len({f.subject for f in facts}) == len(facts)
