"""Checkpoints to start from, looked at without loading them: what architecture, of which size."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from engine.errors import DataError, SpecError
from engine.spec.files import open_file, read_text
from engine.spec.hub import hub_answers
from engine.spec.models import KEPT_BYTES, ModelShape
from engine.spec.numbers import format_count

CONFIG, INDEX = "config.json", "model.safetensors.index.json"
_KEY = "training.init_from"
_HEADER_BYTES = 2**26
# What the libraries call the same things, the usual name first.
_NAMES = {
    "hidden_size": ("hidden_size", "n_embd", "d_model"),
    "num_layers": ("num_hidden_layers", "n_layer", "n_layers"),
    "num_heads": ("num_attention_heads", "n_head", "n_heads"),
    "num_kv_heads": ("num_key_value_heads",),
    "intermediate_size": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
    "max_positions": ("max_position_embeddings", "n_positions", "max_sequence_length"),
    "head_size": ("head_dim",),
    "num_experts_at_once": ("num_experts_per_tok", "experts_per_token", "moe_top_k"),
}
_EMBEDDINGS = (
    "embed_tokens.weight", "embed_in.weight", "embed_out.weight", "lm_head.weight", "lm_head.bias", "wte.weight",
    "wpe.weight", "embed_positions.weight", "word_embeddings.weight", "embeddings.weight",
)  # fmt: skip
# Masks and tables that some files hold beside the parameters.
_BUFFERS = (".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq")


_UNTIED_BY_DEFAULT = ("llama", "mistral", "qwen2", "qwen3", "olmo", "olmo2", "gpt_neox", "phi", "granite")
# transformers has classes of theirs that it calls causal, and that see what comes after.
_ENCODERS = ("bert", "roberta", "xlm-roberta", "electra", "camembert", "data2vec-text", "megatron-bert", "roformer")


_Size = Annotated[int, msgspec.Meta(ge=0)]


class _Tensor(msgspec.Struct):
    """In the header of a safetensors file."""

    shape: tuple[_Size, ...] = ()
    data_offsets: tuple[_Size, _Size] = (0, 0)
    """Its first byte and that after its last, counted from the header's end."""


_HEADER = dict[str, _Tensor]


def read_checkpoint(folder: Path, name: str) -> ModelShape:
    """The shape of the model in a folder that transformers saved, called `name`. DataError where it cannot be started
    from: it needs code of its own, is no causal language model, or has no safetensors."""
    return _shape(_config(folder / CONFIG), _tensor_shapes(folder), name, str(folder / CONFIG))


def read_hub_checkpoint(repository: str, name: str) -> ModelShape | None:
    """The same of a repository on the hub, of which only the headers are fetched; None where it cannot be reached."""
    import huggingface_hub  # slow to import
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if not hub_answers():
        return None
    try:
        config = _config(Path(huggingface_hub.hf_hub_download(repository, CONFIG)))
        metadata = huggingface_hub.get_safetensors_metadata(repository)
    except LocalEntryNotFoundError:
        return None
    except (HfHubHTTPError, HFValidationError, huggingface_hub.errors.NotASafetensorsRepoError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"this checkpoint cannot be used: {said}", key=_KEY, value=repository) from None
    except Exception:  # of its client's transport: it cannot be reached
        return None
    tensors = {
        key: tuple(info.shape) for file in metadata.files_metadata.values() for key, info in file.tensors.items()
    }
    return _shape(config, tensors, name, repository)


def _shape(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], name: str, where: str) -> ModelShape:
    kind = _checked_kind(config, where)
    found = {field: _first(config, names) for field, names in _NAMES.items()}
    hidden_size, num_layers, vocab_size = found["hidden_size"], found["num_layers"], _first(config, ("vocab_size",))
    if not hidden_size or not num_layers or not vocab_size:
        raise DataError("it does not say its hidden_size, layers and vocab_size.", where=where, key=_KEY)
    _check_sizes(config, found, vocab_size, shapes, where)
    tied = config.get("tie_word_embeddings", kind not in _UNTIED_BY_DEFAULT) is True
    counted = {key: math.prod(shape) for key, shape in shapes.items() if not key.endswith(_BUFFERS)}
    if tied:  # some files hold them twice
        heads = ("lm_head.weight", "embed_out.weight")
        counted = {key: size for key, size in counted.items() if not key.endswith(heads)}
    embeddings = sum(size for key, size in counted.items() if key.endswith(_EMBEDDINGS))
    num_heads = found["num_heads"] or 1
    return ModelShape(
        name=name,
        hidden_size=hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=found["num_kv_heads"] or num_heads,
        intermediate_size=found["intermediate_size"] or 4 * hidden_size,
        tied_embeddings=tied,
        architecture=kind,
        counted_params=sum(counted.values()) - embeddings,
        counted_params_total=sum(counted.values()),
        vocab_rows=vocab_size,
        max_positions=found["max_positions"],
        head_size=found["head_size"],
        num_experts_at_once=found["num_experts_at_once"] or 1,
    )


def _check_sizes(
    config: Mapping[str, Any],
    found: Mapping[str, int | None],
    vocab_size: int,
    shapes: Mapping[str, tuple[int, ...]],
    where: str,
) -> None:
    """DataError where the weights are not of the sizes that the config says: they could not be loaded."""
    sizes = {size for shape in shapes.values() for size in shape}
    wanted: dict[str, tuple[int | None, ...]] = {"hidden_size": (found["hidden_size"],), "vocab_size": (vocab_size,)}
    if config.get("model_type") in KEPT_BYTES:  # others may make another use of it
        width = found["intermediate_size"]
        wanted["intermediate_size"] = (width, 2 * (width or 0))  # two matrices may be kept as one
    for name, (size, *doubled) in wanted.items():
        if size and sizes.isdisjoint({size, *doubled}):
            what = f"its config says {name} = {size:,}, and none of its weights has that size."
            raise DataError(what, where=where, key=_KEY, mend="Use the config that belongs to these weights.")
    layers = {int(part) for key in shapes for part in key.split(".") if part.isdecimal() and len(part) < 6}
    if layers and max(layers) + 1 < (found["num_layers"] or 0):
        what = f"its config says {found['num_layers']} layers, and its weights have {max(layers) + 1}."
        raise DataError(what, where=where, key=_KEY, mend="Use the config that belongs to these weights.")


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(read_text(path, _KEY))
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits too
        raise DataError(f"not JSON: {error}.", where=str(path), key=_KEY) from None
    if not isinstance(config, dict):
        raise DataError("expected a JSON object.", where=str(path), key=_KEY, value=config)
    return config


def _checked_kind(config: Mapping[str, Any], where: str) -> str:
    """The architecture, by the name that transformers gives it."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # two seconds to import

    kind, classes = config.get("model_type"), config.get("architectures") or []
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DataError("expected a list of names.", where=where, key="architectures", value=classes)
    if "auto_map" in config:
        raise DataError("it brings code of its own, which is never run.", where=where, key=_KEY, value=kind)
    known = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind) if isinstance(kind, str) else None
    names = {known} if isinstance(known, str) else {*(known or ())}
    if not names or (classes and not names & {*classes}) or kind in _ENCODERS:
        what = f"a {kind} ({', '.join(map(str, classes)) or 'of no class'}) is no causal language model"
        mend = "Such are Llama, Qwen, GPT-2, GPT-NeoX (Pythia), OLMo, Gemma."
        raise DataError(f"{what} that transformers has.", where=where, key=_KEY, value=kind, mend=mend)
    return str(kind)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that transformers would load: those that the index names, or the only one."""
    index = folder / INDEX
    if not index.exists():
        only = folder / "model.safetensors"
        if not only.exists():
            mend = "Other formats can run code when loaded, and are not read."
            raise DataError("no model.safetensors in it.", where=str(folder), key=_KEY, mend=mend)
        return [only]
    named = _config(index).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(name, str) and "/" not in name for name in named.values()):
        raise DataError("it names no files.", where=str(index), key=_KEY)
    return [folder / name for name in sorted({*named.values()})]


def _tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """By name, from the headers of a checkpoint's safetensors files."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in weight_files(folder):
        with open_file(file, _KEY) as handle:
            (num_bytes,) = struct.unpack("<Q", handle.read(8).ljust(8, b"\0"))
            try:
                header = msgspec.json.decode(handle.read(num_bytes if num_bytes <= _HEADER_BYTES else 0), type=_HEADER)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                raise DataError("not a safetensors file.", where=str(file), key=_KEY) from None
        wanted_bytes = 8 + num_bytes + max((tensor.data_offsets[1] for tensor in header.values()), default=0)
        if file.stat().st_size != wanted_bytes:
            what = f"it has {file.stat().st_size:,} bytes, and its header speaks of {wanted_bytes:,}."
            raise DataError(what, where=str(file), key=_KEY, mend="Fetch it again.")
        shapes |= {key: tensor.shape for key, tensor in header.items() if key != "__metadata__"}
    index = folder / INDEX
    wanted = {*_config(index)["weight_map"]} if index.exists() else {*shapes}
    if not wanted or wanted != {*shapes}:
        missing = ", ".join(sorted(wanted ^ {*shapes})[:3])
        raise DataError(f"its tensors are not those that its index names: {missing}.", where=str(folder), key=_KEY)
    return shapes


def _first(config: Mapping[str, Any], names: Sequence[str]) -> int | None:
    found = (config.get(name) for name in names)
    return next((v for v in found if isinstance(v, int) and not isinstance(v, bool) and 0 < v < 10**9), None)


def check_same_shape(found: ModelShape, wanted: ModelShape, where: str) -> None:
    """SpecError where a checkpoint is called after a shape that it has not."""
    for field in ("architecture", "hidden_size", "num_layers", "num_heads", "num_kv_heads", "intermediate_size"):
        has, has_not = getattr(found, field), getattr(wanted, field)
        if has != has_not:
            other = f"{found.architecture.replace('_', '-')}-{format_count(found.num_params).lower()}"
            raise SpecError(
                f"the checkpoint is no {wanted.name}: it is a {found.architecture} of N = {found.num_params:,}, whose "
                f"{field} is {has}, not {has_not}.",
                where=where,
                key="grid.model_size",
                value=wanted.name,
                mend=f'Give its size a name of its own, such as "{other}".',
            )
