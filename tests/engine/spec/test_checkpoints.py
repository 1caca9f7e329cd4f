"""Checkpoints are looked at by their headers alone."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import DataError, SpecError
from engine.spec.checkpoints import check_same_shape, read_checkpoint
from engine.spec.models import preset
from tests.checkpoints import KINDS, save, save_preset

_EMBEDDINGS = ("embed_tokens", "embed_in", "embed_out", "wte", "wpe", "lm_head")


@pytest.mark.parametrize("kind", KINDS)
def test_its_parameters_are_counted_as_they_are(tmp_path: Path, kind: str) -> None:
    model = save(tmp_path, kind, rows=96, dtype=torch.bfloat16, shard_size="8KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    shape = read_checkpoint(tmp_path, "mine")
    named = dict(model.named_parameters())
    assert shape.num_params_total(7) == sum(p.numel() for p in named.values())
    assert shape.num_params == sum(p.numel() for n, p in named.items() if n.split(".")[-2] not in _EMBEDDINGS)
    assert (shape.name, shape.architecture, shape.hidden_size, shape.num_layers) == ("mine", kind, 16, 2)
    assert (shape.vocab_rows, shape.max_positions) == (96, 64)


def test_a_preset_is_what_it_is_called(tmp_path: Path) -> None:
    save_preset(tmp_path, "nano-7k", rows=640)
    shape = read_checkpoint(tmp_path, "nano-7k")
    assert shape.num_params == preset("nano-7k").num_params
    assert shape.identity() == preset("nano-7k").identity()
    check_same_shape(shape, preset("nano-7k"), "sweep.toml")
    with pytest.raises(SpecError, match=r"no nano-3k: it is a llama of N = 6,984.*hidden_size is 24.*llama-6.98k"):
        check_same_shape(shape, preset("nano-3k"), "sweep.toml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"auto_map": {"AutoModelForCausalLM": "code.Model"}}, "code of its own"),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, r"a bert \(BertForMaskedLM\) is no causal"),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"]}, "is no causal"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "is no causal"),
        ({"model_type": "never-heard-of", "architectures": ["X"]}, "is no causal"),
        ({"model_type": None}, "is no causal"),
        ({"model_type": ["llama"]}, "is no causal"),
        ({"vocab_size": "many"}, "does not say"),
    ],
)
def test_what_cannot_be_started_from_is_refused_by_name(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    save_preset(tmp_path, "nano-3k", rows=64)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(DataError, match=words):
        read_checkpoint(tmp_path, "mine")


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x10\0\0\0\0\0\0\0{not json at all!"])
def test_weights_that_are_none(tmp_path: Path, content: bytes) -> None:
    save_preset(tmp_path, "nano-3k", rows=64)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="not a safetensors file"):
        read_checkpoint(tmp_path, "mine")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"no model\.safetensors"):
        read_checkpoint(tmp_path, "mine")
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(DataError, match=r"JSON|UTF-8"):
        read_checkpoint(tmp_path, "mine")


def test_only_the_files_of_the_index_count(tmp_path: Path) -> None:
    model = save(tmp_path, "llama", rows=96, shard_size="8KB")
    whole = read_checkpoint(tmp_path, "mine")
    save_file({"consolidated": torch.zeros(9)}, tmp_path / "consolidated.safetensors")
    assert read_checkpoint(tmp_path, "mine") == whole
    assert whole.num_params_total(0) == sum(p.numel() for p in model.parameters())
    first = min(tmp_path.glob("model-*.safetensors"))
    save_file({"other": torch.zeros(9)}, first)
    with pytest.raises(DataError, match="not those that its index names"):
        read_checkpoint(tmp_path, "mine")


@pytest.mark.parametrize("header", [{"a": 1}, {"a": {"shape": 5}}, {"a": {"shape": ["x"]}}, {"a": {"shape": [-1]}}, {}])
def test_headers_that_are_none(tmp_path: Path, header: dict[str, object]) -> None:
    save_preset(tmp_path, "nano-3k", rows=64)
    raw = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw)
    with pytest.raises(DataError, match=r"not a safetensors file|not those that"):
        read_checkpoint(tmp_path, "mine")


@pytest.mark.parametrize(
    "wrong", ['"architectures": 5', '"architectures": [{}]', '"hidden_size": -16', '"vocab_size": true']
)
def test_configs_that_are_none(tmp_path: Path, wrong: str) -> None:
    save_preset(tmp_path, "nano-3k", rows=64)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | json.loads(f"{{{wrong}}}")))
    with pytest.raises(DataError):
        read_checkpoint(tmp_path, "mine")
    path.write_text('{"model_type": "llama", "hidden_size": ' + "9" * 5_000 + "}")
    with pytest.raises(DataError, match="not JSON"):
        read_checkpoint(tmp_path, "mine")
