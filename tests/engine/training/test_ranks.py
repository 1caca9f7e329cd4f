"""One run by several processes against one process: the same stream, the same exposures, the same numbers up to
rounding, and a state that goes on by another number of processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import STOPPED_AFTER_CHECKPOINT
from engine.records.metrics import RetentionRecord, StepRecord, read_metrics
from engine.records.workspace import RunFolder
from engine.spec.checkpoints import read_checkpoint
from engine.spec.runspec import RunSpec
from engine.training.ranks import Ranks, first_row
from tests.checkpoints import save
from tests.conftest import wait_until
from tests.engine.training.conftest import Lab

# The default suite takes the harder kind where a test is long, and the other where it is short.
KINDS = ("fsdp", pytest.param("ddp", marks=pytest.mark.slow))


def losses(folder: RunFolder) -> np.ndarray:
    """Of every record, and the losses of the held-out background last."""
    records = read_metrics(folder.metrics)
    of_steps = [r.loss for r in records if isinstance(r, StepRecord)]
    return np.array([*of_steps, *(r.background_loss for r in records if isinstance(r, RetentionRecord))])


def largest_difference(lab: Lab, spec: RunSpec, *names: str) -> float:
    one, other = (losses(lab.folder(name, spec)) for name in names)
    assert len(one) == len(other)
    return float(np.max(np.abs(one - other) / one))


def with_precision(spec: RunSpec, precision: str, **changes: Any) -> RunSpec:
    training = spec.training.model_copy(update={"precision": precision})
    return spec.model_copy(update={"training": training} | changes)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_give_the_losses_of_one(lab_of: Callable[..., Lab], kind: str) -> None:
    lab = lab_of(num_tokens='["102400"]', batch_size="8", every_tokens='"20k"', prior_rate="1000")
    spec = with_precision(lab.spec(data_parallel=kind), "fp64")
    one, two = lab.train("one", spec), lab.train_by(2, "two", spec)
    assert one.num_steps == two.num_steps >= 200
    assert largest_difference(lab, spec, "one", "two") <= 1e-12
    assert two.exposures == one.exposures
    assert two.exposures_as_planned
    assert two.questions == one.questions
    assert two.num_tokens == one.num_tokens
    assert (two.execution.num_processes, two.execution.data_parallel) == (2, kind)


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_in_single_precision_ten_steps_differ_by_rounding(lab_of: Callable[..., Lab], kind: str) -> None:
    lab = lab_of(num_tokens='["5120"]', batch_size="16", prior_rate="1000")
    spec = lab.spec(data_parallel=kind)
    assert lab.train("one", spec).num_steps == 10
    lab.train_by(2, "two", spec)
    assert largest_difference(lab, spec, "one", "two") <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fsdp", "ddp"])
def test_a_state_goes_on_by_another_number_of_processes(lab_of: Callable[..., Lab], kind: str) -> None:
    """2 → 1 → 2, each stopped in the middle."""
    lab = lab_of(num_tokens='["100k"]', prior_rate="1000", every_tokens='"10k"')
    spec = with_precision(lab.spec(data_parallel=kind), "fp64")
    whole = lab.train("whole", spec)
    folder = lab.folder("moved", spec)
    before = ""
    for attempt, num_processes in ((1, 2), (2, 1)):
        processes = lab.start_ranks("moved", spec, num_processes, attempt)
        wait_until(lambda n=attempt: sum(r.attempt == n for r in read_metrics(folder.metrics)) > 8, 60)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(60)
            assert process.exitcode == STOPPED_AFTER_CHECKPOINT
        written = sorted(p.name for p in (folder.checkpoints / folder.latest.read_text().strip()).glob("*.safetensors"))
        by_rank = [f"{part}.rank000{rank}.safetensors" for part in ("model", "optimizer") for rank in (0, 1)]
        divided = kind == "fsdp" and num_processes == 2
        assert written == (by_rank if divided else ["model.safetensors", "optimizer.safetensors"])
        assert folder.latest.read_text() != before
        before = folder.latest.read_text()
    last = lab.train_by(2, "moved", spec, attempt=3)
    assert last.attempt == 3
    assert largest_difference(lab, spec, "whole", "moved") <= 1e-12
    assert last.exposures == whole.exposures
    assert last.exposures_as_planned
    assert last.num_tokens == whole.num_tokens


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_do_not_divide_and_micro_batches(lab_of: Callable[..., Lab], kind: str) -> None:
    """Steps of 5 rows on 3 ranks in micro-batches of 1, the last step of a single, shorter row."""
    lab = lab_of(num_tokens='["6420"]', batch_size="5", prior_rate="1000")
    spec = with_precision(lab.spec(frequency=4, data_parallel=kind), "fp64")
    one = lab.train("one", spec)
    three = lab.train_by(3, "three", spec.model_copy(update={"micro_batch_size": 1}))
    assert largest_difference(lab, spec, "one", "three") <= 1e-12
    assert three.exposures == one.exposures
    assert three.num_tokens == one.num_tokens == 6420


def test_kept_weights_are_whole_whatever_trained_them(lab: Lab) -> None:
    from transformers import AutoModelForCausalLM

    spec = lab.spec(data_parallel="fsdp", keep_weights="all", checkpoint_every_s=0.2)
    one, two = lab.train("one", spec), lab.train_by(2, "two", spec)
    assert two.num_params_total == one.num_params_total
    folder = lab.folder("two", spec)
    for kept in folder.checkpoints.iterdir():
        assert [p.name for p in kept.glob("*.safetensors")] == ["model.safetensors"]
        assert AutoModelForCausalLM.from_pretrained(kept).num_parameters() == one.num_params_total


def test_rows_are_dealt_out_as_torch_chunk_does() -> None:
    import torch

    for num_rows in range(1, 20):
        for world_size in range(1, 6):
            starts = [first_row(num_rows, Ranks(rank, world_size)) for rank in range(world_size)]
            sizes = [len(chunk) for chunk in torch.arange(num_rows).chunk(world_size)]
            sizes += [0] * (world_size - len(sizes))
            assert starts == [sum(sizes[:rank]) for rank in range(world_size)]


def test_shares_are_of_one_length() -> None:
    shares = [Ranks(rank, 3).own([1, 2, 3, 4], filled_with=0) for rank in range(3)]
    assert shares == [[1, 4], [2, 0], [3, 0]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fsdp", "ddp"])
# transformers' Gemma 2 normalises in single precision, whatever the model's.
@pytest.mark.parametrize(("architecture", "rounding"), [("gpt2", 1e-10), ("gpt_neox", 1e-10), ("gemma2", 1e-6)])
def test_checkpoints_of_other_architectures_are_trained_by_two_processes(
    lab_of: Callable[..., Lab], tmp_path: Path, architecture: str, rounding: float, kind: str
) -> None:
    save(tmp_path / "start", architecture, rows=4096, dtype=torch.float64)
    lab = lab_of(num_tokens='["20480"]', batch_size="8", every_tokens='"10k"', prior_rate="1000")
    update = {"model": read_checkpoint(tmp_path / "start", "start"), "init_from": str(tmp_path / "start")}
    spec = with_precision(lab.spec(data_parallel=kind), "fp64", **update)
    one, two = lab.train("one", spec), lab.train_by(2, "two", spec)
    assert largest_difference(lab, spec, "one", "two") <= rounding
    assert two.questions == one.questions
    assert two.exposures == one.exposures
