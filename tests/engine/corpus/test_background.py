import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.corpus.background import open_background, read_documents
from engine.corpus.tokenizer import load_tokenizer
from engine.errors import DataError
from engine.records.workspace import Workspace, read_json
from engine.spec.resolve import resolve
from tests.conftest import prepare

TEXTS = [f"number {i} of the plain texts that this test reads, with a name or two" for i in range(900)]


def corpus_files(folder: Path) -> dict[str, str]:
    (folder / "text.txt").write_text("\n".join(TEXTS))
    (folder / "text.jsonl").write_text("\n".join(json.dumps({"body": t, "id": i}) for i, t in enumerate(TEXTS)))
    pq.write_table(pa.table({"body": TEXTS}), folder / "text.parquet", row_group_size=100)
    return {"txt": "text.txt", "jsonl": "text.jsonl", "parquet": "text.parquet"}


def background(path: str, source: str = "files") -> str:
    key = "path" if source == "files" else 'max_tokens = "1M"\ndataset'
    return f'[background]\nsource = "{source}"\n{key} = "{path}"\ntext_field = "body"\nheldout_tokens = 512\n'


@pytest.mark.parametrize("kind", ["txt", "jsonl", "parquet"])
def test_local_files_become_the_same_tokens(
    write_sweep: Callable[..., Path], tmp_path: Path, workspace: Workspace, kind: str
) -> None:
    files = corpus_files(tmp_path)
    prepared = prepare(write_sweep(write_sweep().read_text() + background(files[kind])), workspace)
    folder = workspace.tokens(prepared.bundle.plan.tokens_id)
    tokenizer, tokens = load_tokenizer(folder), open_background(folder)
    about = read_json(folder / "background.json")
    assert about["num_documents"] == (1 if kind == "txt" else 900)
    everything = np.concatenate([tokens.tokens, tokens.heldout])
    assert len(tokens.heldout) == 512
    words = tokenizer.encode("\n".join(TEXTS))
    assert everything[everything != tokenizer.bos_id].tolist() == words


def test_a_dataset_is_streamed_from_a_folder_that_datasets_loads(
    write_sweep: Callable[..., Path], tmp_path: Path, workspace: Workspace
) -> None:
    """The hub's code path, on local files: a folder of Parquet is a dataset to `load_dataset` as a hub name is."""
    data = tmp_path / "dataset"
    data.mkdir()
    pq.write_table(pa.table({"body": TEXTS}), data / "train-00000.parquet")
    prepared = prepare(write_sweep(write_sweep().read_text() + background(str(data), "hub")), workspace)
    folder = workspace.tokens(prepared.bundle.plan.tokens_id)
    assert read_json(folder / "background.json")["num_documents"] == 900
    tokenizer = load_tokenizer(folder)
    everything = np.concatenate([*open_background(folder)])
    assert everything[everything != tokenizer.bos_id].tolist() == tokenizer.encode("\n".join(TEXTS))


def test_reading_stops_at_max_tokens(write_sweep: Callable[..., Path], tmp_path: Path, workspace: Workspace) -> None:
    corpus_files(tmp_path)
    text = write_sweep().read_text() + background("text.jsonl") + 'max_tokens = "7k"\n'
    prepared = prepare(write_sweep(text), workspace)
    assert read_json(workspace.tokens(prepared.bundle.plan.tokens_id) / "background.json")["num_tokens"] == 7_000


def test_the_language_reference_is_english_prose(write_sweep: Callable[..., Path]) -> None:
    documents = list(read_documents(resolve(write_sweep()).corpus))
    words = " ".join(documents).split()
    assert len(documents) > 50
    assert len(words) > 40_000
    assert sum(word in {"the", "of", "a", "is", "to"} for word in words) / len(words) > 0.12
    assert "::=" not in " ".join(documents)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bad.txt", b"fine\nbro\xffken\n", r"bad\.txt, line 2.*not UTF-8"),
        ("bad.jsonl", b'{"body": "a"}\n{"body": 3}\n', r"line 2.*text_field"),
        ("bad.jsonl", b'{"body": "a"}\n{"text": "b"}\n', r"line 2.*Fields here: text"),
        ("bad.jsonl", b'{"body": \n', "not JSON"),
        ("bad.parquet", b"PAR1 not really", "Parquet"),
        ("short.txt", b"three short words", "only"),
    ],
)
def test_bad_text_names_file_and_line(
    write_sweep: Callable[..., Path], tmp_path: Path, workspace: Workspace, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    path = write_sweep(write_sweep().read_text() + background(name))
    with pytest.raises(DataError, match=words):
        prepare(path, workspace)
    assert list((workspace.root / "tokens").iterdir()) == []  # nothing half made stays


def test_a_dataset_that_is_not_there_is_said(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    spec = resolve(write_sweep(write_sweep().read_text() + background(str(tmp_path / "nowhere"), "hub"))).corpus
    with pytest.raises(DataError, match=r"background.dataset"):
        list(read_documents(spec))


def test_compressed_text_is_refused_by_its_kind(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "text.txt.gz").write_bytes(gzip.compress(b"words"))
    with pytest.raises(Exception, match="kind"):
        resolve(write_sweep(write_sweep().read_text() + background("text.txt.gz")))
