import gzip
from pathlib import Path

import pytest

from engine.corpus import documents
from engine.corpus.documents import read_documents
from engine.spec.runspec import CorpusSpec
from engine.spec.sweep import BackgroundSettings, TokenizerSettings


def corpus(*paths: Path, source: str = "files") -> CorpusSpec:
    return CorpusSpec(
        background=BackgroundSettings(source=source, path=tuple(map(str, paths)) or None),  # type: ignore[arg-type]
        background_hashes={}, tokenizer=TokenizerSettings(kind="bpe"), tokenizer_hash=None, entities=(),
        template_texts=(),
    )  # fmt: skip


def test_how_much_of_the_text_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_TOLD_EVERY_S", 0.0)
    rows = b"".join(b'{"text": "%d"}\n' % i for i in range(30_000))
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_bytes(rows)
    packed.write_bytes(gzip.compress(rows))
    shares: list[float | None] = []
    texts = list(read_documents(corpus(plain, packed), shares.append))
    assert len(texts) == len(shares) == 60_000
    assert all(share is not None for share in shares)
    assert shares == sorted(shares)  # type: ignore[type-var]
    sizes = plain.stat().st_size, packed.stat().st_size
    assert 0 < shares[0] < 0.2  # type: ignore[operator]
    assert shares[30_000] == pytest.approx(sizes[0] / sum(sizes), abs=0.2)
    assert shares[-1] == pytest.approx(1.0)


def test_of_a_text_without_files_no_share_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float | None] = []
    assert len(list(read_documents(corpus(source="builtin"), shares.append))) > 50
    assert {*shares} == {None}
