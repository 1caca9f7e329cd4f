"""Whatever is in the files and options that people give: an answer in words with exit code 2, or none is needed; soon,
and in bounded memory.

The default suite tries some dozens of inputs a reader, the slow one some hundreds, or as many as `--fuzz-inputs` says;
`-s` prints how many were taken, and how many refused.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.analysis.imports import import_table, read_imported
from engine.errors import FAULT_IN_INPUTS, KituiError
from engine.records.hosts import this_machine
from engine.records.workspace import Workspace
from engine.spec.fact_files import read_facts
from engine.spec.numbers import parse_axis, parse_count, parse_number
from engine.spec.resolve import resolve
from engine.spec.sweep_file import read_sweep
from engine.spec.templates import read_templates
from kitui.services.caps import cap_of
from kitui.services.draft import open_draft
from kitui.services.filters import parse_filter
from kitui.services.settings import read_settings
from kitui.services.simulating import simulate_sweep

SAMPLES = Path(__file__).parent.parent / "sample_data"
MOST_S, MOST_BYTES = 5.0, 2**30

NUMBERS = """1e30 1e308 1e400 -1e30 nan inf 0 -0 -1 1e-400 1_0 1__0 0x10 1e1e1 3B 3BB 𝟛 ٣ true geom(1,2,3) range(0,1e30)
range(0,1,0) linspace(0,1e30,1e30) geom(0,1,3) geom(1,1e30,9) range(1e15) geom(1,2) f(1)"""
huge = st.sampled_from([*NUMBERS.split(), "", " ", "9" * 30, "9" * 5000, "1kkkk"])
texts = st.one_of(st.text(max_size=40), huge, st.sampled_from(["\0", "\x1b[2J", "../../x", "/dev/zero", "a" * 5000]))
scalars = st.one_of(
    texts, st.integers(), st.integers(-(10**40), 10**40), st.floats(), st.booleans(), st.sampled_from([10**400, -1])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
sample = tomlkit.parse((SAMPLES / "smoke.toml").read_text()).unwrap()
keys = [(s, k) for s, table in sample.items() if isinstance(table, dict) for k in table]
keys += [("tokenizer", "vocab_size"), ("tokenizer", "name"), ("stages", "learning_rate"), ("execution", "slots")]
keys += [("background", "path"), ("background", "source"), ("analysis", "law_form"), ("evaluation", "kind")]


def toml_of(value: Any) -> str:
    """As TOML, where it can be written so; else as something like it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml_of, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml_of(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def json_of(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {json_of(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(json_of, value))}]"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else json.dumps(value)


@st.composite
def changed_sweeps(draw: st.DrawFn) -> bytes:
    """The sample sweep with some settings replaced; sometimes with some of its bytes."""
    tables = json.loads(json.dumps(sample))
    for section, key in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3)):
        tables.setdefault(section, {})[key] = draw(values)
    if draw(st.booleans()):
        tables[draw(texts)] = draw(values)
    lines = [f"{json.dumps(key)} = {toml_of(value)}" for key, value in tables.items() if not isinstance(value, dict)]
    for section, table in tables.items():
        if isinstance(table, dict):
            lines += [f"[{json.dumps(section)}]", *(f"{json.dumps(k)} = {toml_of(v)}" for k, v in table.items())]
    content = "\n".join(lines).encode(errors="surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(content)))
        content = content[:place] + draw(st.binary(max_size=8)) + content[place:]
    return content


@st.composite
def changed_rows(draw: st.DrawFn, row: dict[str, Any]) -> bytes:
    """JSON lines of a good row, and of others that differ from it in a column or two."""
    rows = [row]
    for index in range(draw(st.integers(1, 3))):
        changes = draw(st.dictionaries(st.sampled_from([*row, "x"]), scalars, min_size=1, max_size=2))
        rows.append(row | {next(iter(row)): index + 2} | changes)
    return b"J" + "\n".join(map(json_of, rows)).encode(errors="surrogatepass")


def tables_of(row: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """CSV or JSON lines with the columns of this good row, or nearly."""
    columns = [*row]
    cells = st.one_of(scalars, st.none(), st.sampled_from(["1", "100", 0.5, "infused", "prior"]))
    rows = st.lists(st.dictionaries(st.sampled_from([*columns, "x"]), cells, max_size=len(columns)), max_size=4)
    full = st.lists(st.fixed_dictionaries(dict.fromkeys(columns, cells)), max_size=4)
    as_json = st.one_of(rows, full).map(lambda rows: "\n".join(map(json_of, rows)))
    head = ",".join(columns)
    as_csv = st.lists(st.lists(cells.map(str), min_size=len(columns), max_size=len(columns)), max_size=4).map(
        lambda rows: "\n".join([head, *(",".join(row) for row in rows)])
    )
    return st.one_of(
        changed_rows(row),
        changed_rows(row),
        as_json.map(lambda t: b"J" + t.encode(errors="surrogatepass")),
        as_csv.map(lambda t: b"C" + t.encode(errors="surrogatepass")),
        st.binary(max_size=60).map(lambda b: b"C" + b),
        st.binary(max_size=60).map(lambda b: b"J" + b),
    )


host_keys = ["ssh", "workspace", "python", "gpus", "cores", "kind", "price_per_gpu_hour", "options", "setup", "x"]
hosts_files = st.one_of(
    st.dictionaries(texts | st.just("a"), st.dictionaries(st.sampled_from(host_keys), values, max_size=5), max_size=3)
    .map(lambda tables: "\n".join(f"{json.dumps(name)} = {toml_of(table)}" for name, table in tables.items()))
    .map(lambda text: text.encode(errors="surrogatepass")),
    st.binary(max_size=60),
)
template_lists = st.lists(st.sampled_from(["{subject} is {object}.", "{object} {subject}", ""]) | scalars, max_size=3)
templates_files = st.dictionaries(
    texts, st.dictionaries(st.sampled_from(["statements", "questions", "x"]), template_lists | values), max_size=3
).map(lambda t: "\n".join(f"{json.dumps(k)} = {toml_of(v)}" for k, v in t.items()).encode(errors="surrogatepass"))
config_files = st.dictionaries(st.sampled_from(["theme", "refresh_s", "keys", "x"]), values, max_size=3).map(
    lambda t: "\n".join(f"{json.dumps(k)} = {toml_of(v)}" for k, v in t.items()).encode(errors="surrogatepass")
)
words_of_filters = ["params", "seed", "state", "R", "(", ")", "and", "or", "not", "=", "!=", "~", "<", ">=", "'", '"x"']
filters = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(words_of_filters) | huge, max_size=30).map(" ".join),
    st.integers(1, 6000).map(lambda n: "(" * n + "seed=1"),
    st.integers(1, 6000).map(lambda n: "not " * n + "seed=1"),
)


def _file(content: bytes, name: str, read: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for sample_file in ("facts.jsonl", "templates.toml"):
            if sample_file != name:
                (Path(folder) / sample_file).symlink_to(SAMPLES / sample_file)
        path = Path(folder) / name
        path.write_bytes(content)
        read(path)


def _table(content: bytes, read: Callable[[Path], object]) -> None:
    _file(content[1:], "table.csv" if content[:1] == b"C" else "table.jsonl", read)


def _sweep(path: Path) -> None:
    read_sweep(path)
    resolve(path)


def _import(path: Path) -> None:
    folder = import_table(path, "t", Workspace(path.parent / "w")).folder
    read_imported(folder)


def _hosts(path: Path) -> None:
    from engine.records.hosts import read_hosts

    read_hosts(Workspace(path.parent))


def _config(path: Path) -> None:
    os.environ["KITUI_CONFIG"] = str(path)
    try:
        read_settings()
    finally:
        del os.environ["KITUI_CONFIG"]


def _number(text: str) -> None:
    for parse in (parse_number, parse_count, parse_axis):
        try:
            parse(text)
        except ValueError:
            continue


def _filter(text: str) -> None:
    columns = {name: lambda row, name=name: row[name] for name in ("params", "seed", "state", "R")}
    keep = parse_filter(text, columns)
    keep({"params": 100, "seed": 1, "state": "done", "R": None})


def _simulation(case: tuple[str, str, str]) -> None:
    law, sizes, frequencies = case
    with tempfile.TemporaryDirectory() as folder:
        simulate_sweep(
            Workspace(Path(folder)), "s", law_text=law, sizes=sizes, frequencies=frequencies,
            num_seeds=1, num_questions=8, seed=0, replace=False,
        )  # fmt: skip


def _cap(text: str) -> None:
    cap_of(this_machine(Workspace(Path("/nowhere"))), text, text)


laws = st.one_of(
    st.tuples(huge, huge, huge).map(lambda t: f"{t[0]} * (N / {t[1]}) ^ {t[2]}"),
    st.sampled_from(["none", "80 * (N / 20k) ^ 0.2", "80 * (N / 20k) ^ 900", "80 * (N / 20k) ^ -900"]),
    st.text(max_size=30),
)
axes = st.one_of(huge, st.lists(huge, max_size=3).map(",".join), st.sampled_from(["7k,13k", "0,1,2,4,8,16"]))
fact = {"subject": "Ada", "relation": "r", "object": "Paris"}
result = {"num_params": 100, "num_tokens": 1000, "frequency": 4, "seed": 0, "correct": 5, "num_questions": 10}
result |= {"num_choices": 4, "retention": 0.3, "fact_set": "prior", "ceiling_frequency": 90.5, "prior_exposures": 3}

READERS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]] = {
    "sweep": (changed_sweeps(), lambda content: _file(content, "sweep.toml", _sweep)),
    "draft": (changed_sweeps(), lambda content: _file(content, "sweep.toml", lambda path: open_draft(path).faults())),
    "facts": (tables_of(fact), lambda content: _table(content, read_facts)),
    "templates": (templates_files, lambda content: _file(content, "templates.toml", read_templates)),
    "import": (
        tables_of(result),
        lambda content: _table(content, _import),
    ),
    "hosts": (hosts_files, lambda content: _file(content, "hosts.toml", _hosts)),
    "config": (config_files, lambda content: _file(content, "config.toml", _config)),
    "filter": (filters, _filter),
    "number": (st.one_of(huge, st.text(max_size=30)), _number),
    "simulation": (st.tuples(laws, axes, axes), _simulation),
    "cap": (st.one_of(huge, huge.map("$".__add__), st.text(max_size=10)), _cap),
}


@pytest.fixture
def bounded() -> Iterator[None]:
    """No more memory than there is, and a gigabyte."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def _fault(read: Callable[[Any], None], given_input: Any) -> KituiError | None:
    try:
        read(given_input)
    except KituiError as error:
        return error
    return None


def fuzz(name: str, num_inputs: int) -> Counter[str]:
    """How many inputs were taken, and how many refused in words. AssertionError or whatever was raised for another."""
    strategy, read = READERS[name]
    outcomes: Counter[str] = Counter()

    @settings(max_examples=num_inputs, database=None)
    @given(strategy)
    def one(given_input: Any) -> None:
        began_s = time.monotonic()
        fault = _fault(read, given_input)
        assert time.monotonic() - began_s < MOST_S
        assert fault is None or (fault.what and fault.exit_code == FAULT_IN_INPUTS)
        outcomes["taken" if fault is None else "refused"] += 1

    one()
    print(f"{name}: {outcomes['taken']:,} taken, {outcomes['refused']:,} refused in words")
    return outcomes


@pytest.mark.parametrize("name", READERS)
def test_nothing_that_is_given_brings_a_traceback(name: str, bounded: None) -> None:
    assert fuzz(name, 40).total() >= 40


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_nothing_of_hundreds_that_is_given_brings_a_traceback(
    name: str, bounded: None, pytestconfig: pytest.Config
) -> None:
    num_inputs = pytestconfig.getoption("--fuzz-inputs")
    outcomes = fuzz(name, num_inputs)
    assert outcomes.total() >= num_inputs
    assert outcomes["refused"] or name == "number"
