import json
from pathlib import Path

import pytest

from engine.errors import DataError
from engine.spec.fact_settings import TextsSettings
from engine.spec.text_files import read_texts

SETTINGS = TextsSettings(path="docs.jsonl", num_prior=1, num_infused=1, num_unseen=1)


def test_texts_by_id_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    rows = [{"id": 7, "text": " One.\nTwo. "}, {"id": "b", "text": "Three."}]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_texts([path], SETTINGS) == {"7": "One.\nTwo.", "b": "Three."}
    path.write_text("\n".join(map(json.dumps, [*rows, rows[1], {"id": "c"}, {"text": "x"}])))
    with pytest.raises(DataError) as caught:
        read_texts([path], SETTINGS)
    for words in ("line 3", "the same id", "line 4", "line 5", "texts.id"):
        assert words in str(caught.value)
