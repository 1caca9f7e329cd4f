import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.corpus.background import open_background
from engine.corpus.documents import read_documents
from engine.corpus.token_folder import write_token_folder
from engine.corpus.tokenizer import Tokenizer, load_tokenizer
from engine.errors import DamageError, DataError
from engine.records.plan import read_plan
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
    everything = tokens.read(0, tokens.num_tokens + 512)
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
    background_text = open_background(folder)
    everything = np.concatenate([background_text.read(0, background_text.num_tokens), background_text.heldout])
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


def test_packed_text_marked_text_and_rows_without_text(
    write_sweep: Callable[..., Path], tmp_path: Path, workspace: Workspace
) -> None:
    rows = ['{"body": "one two three four"}', '{"body": null}', '{"body": "five six seven eight"}']
    lines = "\n".join(rows * 300)
    (tmp_path / "text.JSONL.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + lines.encode()))
    (tmp_path / "text.TXT").write_bytes(b"\xef\xbb\xbf" + b"nine ten\n" * 3)
    text = write_sweep().read_text() + background("text.*")
    prepared = prepare(write_sweep(text), workspace)
    tokens = workspace.tokens(prepared.bundle.plan.tokens_id)
    about = read_json(tokens / "background.json")
    assert (about["num_documents"], about["num_skipped"]) == (601, 300)
    plan = read_plan(workspace.sweep(prepared.bundle.plan.sweep).plan)
    assert plan is not None
    assert "300 rows of the background have no text" in plan.notes
    assert load_tokenizer(tokens).backend.token_to_id("\ufeff") is None


def test_a_killed_preparation_is_gone_on_with(
    write_sweep: Callable[..., Path], tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [json.dumps({"body": f"document {i} says {'a word or two ' * 40}"}) for i in range(3_000)]
    (tmp_path / "text.jsonl").write_text("\n".join(rows))
    path = write_sweep(write_sweep().read_text() + background("text.jsonl"))
    whole = workspace.tokens(prepare(path, workspace).bundle.plan.tokens_id)
    expected = {file.name: file.read_bytes() for file in whole.iterdir()}
    shutil.rmtree(whole)
    monkeypatch.setattr("engine.corpus.background._DURABLE_EVERY_S", 0.0)
    encode, batches = Tokenizer.encode_many, []

    def counted(self: Tokenizer, texts: list[str]) -> list[list[int]]:
        batches.append(len(texts))
        if len(batches) == 6:
            raise KeyboardInterrupt
        return encode(self, texts)

    monkeypatch.setattr(Tokenizer, "encode_many", counted)
    with pytest.raises(KeyboardInterrupt):
        write_token_folder(resolve(path).corpus, whole)
    making = whole.with_name(f".{whole.name}.making")
    done = read_json(making / "tokenised.json")
    assert done["num_documents"] == sum(batches[:5])
    with (making / "background.bin").open("ab") as handle:
        handle.write(b"half a batch")
    write_token_folder(resolve(path).corpus, whole)
    assert sum(batches) - batches[5] == 3_000  # none twice
    assert {file.name: file.read_bytes() for file in whole.iterdir()} == expected
    assert not making.exists()


def test_a_flipped_bit_is_found_when_its_block_is_read(write_sweep: Callable[..., Path], workspace: Workspace) -> None:
    folder = workspace.tokens(prepare(write_sweep(), workspace).bundle.plan.tokens_id)
    path = folder / "background.bin"
    content = bytearray(path.read_bytes())
    place = 2**16 + 100  # in the second block
    content[place] ^= 1
    path.write_bytes(content)
    damaged = open_background(folder)
    size = len(content) // read_json(folder / "background.json")["num_tokens"]
    damaged.read(0, 100)
    with pytest.raises(DamageError, match=r"background\.bin: it was changed"):
        damaged.read(place // size, place // size + 1)
    with pytest.raises(DamageError):
        damaged.check()
    path.write_bytes(content[:-size])
    with pytest.raises(DamageError, match="written were"):
        open_background(folder)


def test_damaged_token_files_are_made_anew(write_sweep: Callable[..., Path], workspace: Workspace) -> None:
    sweep = write_sweep()
    folder = workspace.tokens(prepare(sweep, workspace).bundle.plan.tokens_id)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"manifest.json", "background.digests", "tokenizer.json"} <= files.keys()
    for name, content in files.items():
        (folder / name).write_bytes(content[:-40] + bytes(40) if len(content) > 40 else b"")
        left = workspace.root / "tokens" / f".{folder.name}.left"  # by a preparation that was killed
        left.mkdir()
        os.utime(left, (0, 0))
        prepare(sweep, workspace)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == files, name
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
