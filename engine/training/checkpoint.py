"""Checkpoints: folders by step, complete or absent, and a pointer to the last one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from engine.records.workspace import RunFolder, read_json, sync_folder, write_atomically, write_json
from engine.training.model import load_weights, save_weights


def save_checkpoint(
    folder: RunFolder,
    step: int,
    model: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer | None,
    progress: dict[str, Any],
    counts: dict[str, np.ndarray],
    *,
    keep_older: bool,
) -> None:
    """Write the state after `step` steps, point `latest` at it, and drop older states unless they are to be kept.

    Without an optimizer only the weights are kept, as at the end of a run. OSError, with nothing changed, if the disk
    is full.
    """
    folder.checkpoints.mkdir(exist_ok=True)
    building = folder.checkpoints / f".{step}.{os.getpid()}"
    try:
        building.mkdir()
        save_weights(model, building)
        if optimizer is not None:
            save_file(_optimizer_tensors(optimizer), building / "optimizer.safetensors")
        np.savez(building / "counts.npz", **counts)  # type: ignore[arg-type]
        write_json(building / "progress.json", progress)
        for file in building.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        final = folder.checkpoints / str(step)
        shutil.rmtree(final, ignore_errors=True)  # of an attempt that died before it moved the pointer
        os.replace(building, final)
        sync_folder(folder.checkpoints)
        write_atomically(folder.latest, f"{step}\n".encode())
    except Exception as error:
        # safetensors raises its own error type for a full disk.
        shutil.rmtree(building, ignore_errors=True)
        raise error if isinstance(error, OSError) else OSError(f"checkpoint not written: {error}") from error
    for other in folder.checkpoints.iterdir():
        if other.name != str(step):
            if not keep_older or not other.name.isdigit():
                shutil.rmtree(other, ignore_errors=True)
            else:
                (other / "optimizer.safetensors").unlink(missing_ok=True)


def drop_checkpoints(folder: RunFolder) -> None:
    """Leave no weights behind. The pointer goes first: without it there is no checkpoint."""
    folder.latest.unlink(missing_ok=True)
    shutil.rmtree(folder.checkpoints, ignore_errors=True)


def latest_checkpoint(folder: RunFolder) -> Path | None:
    try:
        path = folder.checkpoints / folder.latest.read_text().strip()
    except FileNotFoundError:
        return None
    return path if path.is_dir() else None


def load_checkpoint(
    path: Path, model: LlamaForCausalLM, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Put weights and optimizer state in place; progress and exposure counts are returned."""
    load_weights(model, path)
    state_file = path / "optimizer.safetensors"
    if state_file.exists():
        _restore_optimizer(optimizer, load_file(state_file))
    with np.load(path / "counts.npz") as stored:
        counts = {name: stored[name] for name in stored.files}
    progress = read_json(path / "progress.json")
    assert progress is not None
    return progress, counts


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{index}.{name}": value.contiguous()
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
