"""Checkpoints: folders by step, complete or absent, and a pointer to the last one. While a run trains, the one before
is kept too: where the last is damaged, the run goes on from that.

A run of several processes whose state is divided among them (FSDP) has each write its own rows, `model.rank0001.…`;
whoever resumes reads the rows that it needs, by as many processes as it likes. All files are safetensors.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from engine.errors import DamageError, DataError, StateError
from engine.records.seals import MANIFEST, check_manifest, write_manifest
from engine.records.workspace import RunFolder, read_json, sync_folder, write_atomically, write_json
from engine.training.decoder import Decoder
from engine.training.ranks import ALONE, Ranks, first_row, is_divided, like, own_rows, whole


def save_checkpoint(
    folder: RunFolder,
    step: int,
    decoder: Decoder,
    optimizer: torch.optim.Optimizer | None,
    progress: dict[str, Any],
    counts: dict[str, np.ndarray],
    *,
    keep_older: bool,
    ranks: Ranks = ALONE,
) -> None:
    """Write the state after `step` steps, point `latest` at it, and drop older states but the one before, unless they
    are to be kept.

    Without an optimizer only the weights are kept, as at the end of a run. OSError on all ranks, with nothing changed,
    if the disk is full for one.
    """
    building = folder.checkpoints / f".{step}.building"
    causal_lm, divided = decoder.causal_lm, is_divided(decoder)
    rows_only = divided and optimizer is not None and not keep_older
    weights = _own_weights(causal_lm) if rows_only else _whole_weights(causal_lm, ranks)

    def begin() -> None:
        if ranks.is_first:
            folder.checkpoints.mkdir(exist_ok=True)
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()

    def write() -> None:
        suffix = f".rank{ranks.rank:04}" if divided else ""
        if ranks.is_first or rows_only:
            save_weights(causal_lm, building, weights, suffix if rows_only else "")
        if optimizer is not None and (ranks.is_first or divided):
            _save_file(_optimizer_tensors(optimizer), building / f"optimizer{suffix}.safetensors")
        if not ranks.is_first:
            return
        np.savez(building / "counts.npz", **counts)  # type: ignore[arg-type]
        write_json(building / "progress.json", progress)

    def end() -> None:
        if not ranks.is_first:
            return
        write_manifest(building, [file.name for file in building.iterdir()])
        for file in building.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        final = folder.checkpoints / str(step)
        shutil.rmtree(final, ignore_errors=True)  # of an attempt that died before it moved the pointer
        os.replace(building, final)
        sync_folder(folder.checkpoints)
        write_atomically(folder.latest, f"{step}\n".encode())

    try:
        for work in (begin, write, end):
            ranks.together(work)
    except OSError:
        if ranks.is_first:
            shutil.rmtree(building, ignore_errors=True)
        raise
    if ranks.is_first:
        _drop_others(folder, step, is_last=optimizer is None, keep_older=keep_older)


def _drop_others(folder: RunFolder, step: int, *, is_last: bool, keep_older: bool) -> None:
    before = max((s for s in _steps(folder) if s < step), default=None)
    for other in folder.checkpoints.iterdir():
        if other.name == str(step) or (other.name == str(before) and not is_last):
            continue
        if keep_older and other.name.isdigit():
            _keep_weights_only(other)
        else:
            _remove(other)


def _keep_weights_only(folder: Path) -> None:
    optimizers = {*folder.glob("optimizer*.safetensors")}
    if not optimizers:
        return
    write_manifest(folder, [f.name for f in folder.iterdir() if f.name != MANIFEST and f not in optimizers])
    for file in optimizers:
        file.unlink()


def _remove(checkpoint: Path) -> None:
    """Gone at once, by its name, and then from the disk: whoever looks finds it complete or not at all."""
    aside = checkpoint.with_name(f".{checkpoint.name}.removed")
    with contextlib.suppress(OSError):
        os.replace(checkpoint, aside)
    shutil.rmtree(aside, ignore_errors=True)


def _steps(folder: RunFolder) -> list[int]:
    return [int(path.name) for path in folder.checkpoints.iterdir() if path.name.isdigit()]


def drop_checkpoints(folder: RunFolder) -> None:
    """Leave no weights behind. The pointer goes first: without it there is no checkpoint."""
    folder.latest.unlink(missing_ok=True)
    shutil.rmtree(folder.checkpoints, ignore_errors=True)


def latest_checkpoint(folder: RunFolder) -> Path | None:
    """The folder of the newest checkpoint that was written to its end, if any. The pointer says which; where it cannot
    be read, the folders do, which are complete or absent."""
    try:
        name = folder.latest.read_text().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        name = ""
    if name.isdigit() and (folder.checkpoints / name).is_dir():
        return folder.checkpoints / name
    steps = _steps(folder) if folder.checkpoints.is_dir() else []
    return folder.checkpoints / str(max(steps)) if steps else None


def sound_checkpoint(folder: RunFolder, num_steps: int) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that is what was written and that a run of `num_steps` can go on from, and what was wrong
    with newer ones, which are removed: no state is theirs."""
    faults: list[str] = []
    latest = latest_checkpoint(folder)
    if latest is None:
        return None, faults
    for step in sorted((s for s in _steps(folder) if s <= int(latest.name)), reverse=True):
        path = folder.checkpoints / str(step)
        if step != num_steps and not any(path.glob("optimizer*.safetensors")):
            continue  # weights that were kept by wish
        try:
            check_manifest(path)
            progress = read_json(path / "progress.json")
            if not isinstance(progress, dict) or progress.get("step") != step:
                raise DamageError("it is not the state after this step.", where=str(path))
        except StateError as error:
            faults.append(str(error))
            _remove(path)
            continue
        if path != latest:
            write_atomically(folder.latest, f"{step}\n".encode())
        return path, faults
    folder.latest.unlink(missing_ok=True)
    return None, faults


def load_checkpoint(
    path: Path, decoder: Decoder, optimizer: torch.optim.Optimizer, ranks: Ranks = ALONE
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Put weights and optimizer state in place; progress and exposure counts are returned."""
    load_weights(decoder.causal_lm, path, ranks)
    _restore_optimizer(optimizer, _Saved(path, "optimizer"), ranks)
    with np.load(path / "counts.npz") as stored:
        counts = {name: stored[name] for name in stored.files}
    progress = read_json(path / "progress.json")
    assert progress is not None
    return progress, counts


def save_weights(
    causal_lm: Any, folder: Path, weights: dict[str, torch.Tensor] | None = None, suffix: str = ""
) -> None:
    """`config.json` and `model.safetensors`, as `transformers` loads them; tied embeddings stand there once.
    `weights`: those that were gathered, or one rank's rows, which `suffix` names."""
    weights = _whole_weights(causal_lm, ALONE) if weights is None else weights
    _save_file(weights, folder / f"model{suffix}.safetensors", metadata={"format": "pt"})
    causal_lm.config.architectures = [type(causal_lm).__name__]
    causal_lm.config.save_pretrained(folder)


@torch.no_grad()
def load_weights(causal_lm: Any, folder: Path, ranks: Ranks = ALONE) -> None:
    """The saved weights, or this rank's rows of them. DataError if they are another model's."""
    saved, parameters = _Saved(folder, "model"), dict(causal_lm.named_parameters())
    shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    if saved.shapes != shapes:
        named = [name for name in {**shapes, **saved.shapes} if saved.shapes.get(name) != shapes.get(name)]
        raise DataError(f"weights of another model: {named[:3]}.", where=str(folder))
    for name, parameter in parameters.items():
        own_rows(parameter).copy_(saved.rows(name, parameter, ranks))


def _save_file(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:  # so it calls a full disk too
        raise OSError(errno.ENOSPC, str(error), str(path)) from None


def _own_weights(causal_lm: Any) -> dict[str, torch.Tensor]:
    return {name: own_rows(parameter.detach()).contiguous() for name, parameter in causal_lm.named_parameters()}


def _whole_weights(causal_lm: Any, ranks: Ranks) -> dict[str, torch.Tensor]:
    """All weights on the first rank, in main memory; nothing on the others."""
    gathered = {}
    for name, parameter in causal_lm.named_parameters():
        tensor = whole(parameter.detach())
        if ranks.is_first:
            gathered[name] = tensor.cpu().contiguous()
    return gathered


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{index}.{name}": own_rows(value).contiguous()
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, saved: _Saved, ranks: Ranks) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key in saved.shapes:
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        rows = saved.rows(key, parameter, ranks)
        state.setdefault(int(index), {})[name] = like(rows, parameter) if rows.ndim else rows
    if state:
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


class _Saved:
    """The tensors of one part of a checkpoint, whole or as the ranks' rows one after the other."""

    def __init__(self, folder: Path, part: str) -> None:
        paths = [path for path in [folder / f"{part}.safetensors"] if path.exists()]
        paths = paths or sorted(folder.glob(f"{part}.rank*.safetensors"))
        self._files = [safe_open(path, framework="pt") for path in paths]
        self.shapes: dict[str, tuple[int, ...]] = {}
        for name in self._files[0].keys() if self._files else ():
            first, *others = (tuple(file.get_slice(name).get_shape()) for file in self._files)
            self.shapes[name] = (first[0] + sum(shape[0] for shape in others), *first[1:]) if first else ()

    def rows(self, name: str, parameter: Any, ranks: Ranks) -> torch.Tensor:
        """Those rows of a tensor that `parameter` has on this rank."""
        if not self.shapes[name]:
            scalar: torch.Tensor = self._files[0].get_tensor(name)
            return scalar
        num = len(own_rows(parameter))
        start = first_row(len(parameter), ranks) if num < len(parameter) else 0
        pieces, before = [], 0
        for file in self._files:
            held = file.get_slice(name)
            size = held.get_shape()[0]
            first, end = max(start - before, 0), min(start + num - before, size)
            if first < end:
                pieces.append(held[first:end])
            before += size
        if not pieces:
            empty: torch.Tensor = own_rows(parameter).detach().clone()
            return empty
        return torch.cat(pieces) if len(pieces) > 1 else pieces[0]
