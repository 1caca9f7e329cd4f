"""The processes that train one run together (ranks, as torchrun and Slurm number them), and what they agree on.

Each step's rows are dealt out to the ranks in turn, and losses are summed over all of them: the stream, the exposures
and, up to rounding, every number are those of one process. Gradients are averaged by DDP, or by FSDP2 (`fully_shard`),
which also divides weights and optimizer state among the ranks.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from engine.errors import DataError
from engine.training.decoder import Decoder

T = TypeVar("T")


class Ranks(NamedTuple):
    """This process's number among those of its run. What is asked of one is to be asked of all, in the same order."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def own(self, items: Sequence[T], *, filled_with: T) -> list[T]:
        """This rank's share of what all have the same list of, filled up so that all shares are of one length: where
        one rank passes through the model, all have to."""
        share = list(items[self.rank :: self.world_size])
        return share + [filled_with] * (-(-len(items) // self.world_size) - len(share))

    def sum(self, value: float) -> float:
        return float(self.sum_arrays({"": np.array([value])})[""][0])

    def sum_arrays(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The sums over all ranks, whatever the ranks' own arrays; those are left as they are."""
        if self.world_size == 1:
            return dict(arrays)
        summed = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        for tensor in summed.values():
            dist.all_reduce(tensor)
        return {name: tensor.numpy() for name, tensor in summed.items()}

    def first_says(self, value: int) -> int:
        """The first rank's value, on all."""
        if self.world_size == 1:
            return value
        tensor = torch.tensor(value)
        dist.broadcast(tensor, 0)
        return int(tensor)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag as it is on some rank: what one wants, all do, and in the same step."""
        if self.world_size == 1:
            return flags
        tensor = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return tuple(bool(flag) for flag in tensor.tolist())

    def together(self, work: Callable[[], None]) -> None:
        """Do this rank's part of some work on files. OSError on every rank where it failed on one."""
        fault: Exception | None = None
        try:
            work()
        except Exception as error:  # safetensors raises its own error type for a full disk
            fault = error
        if self.any(fault is not None)[0]:
            raise fault if isinstance(fault, OSError) else OSError(f"not written: {fault or 'another rank failed'}")


ALONE = Ranks()


def join(device_type: str) -> tuple[Ranks, torch.device]:
    """Meet the other processes of this run, as the environment tells of them: torchrun's variables, or srun's.
    DataError where there are fewer GPUs here than processes."""
    rank, local_rank, world_size = (_number(*names) for names in _VARIABLES)
    if world_size is None or world_size == 1:
        return ALONE, torch.device(device_type)
    device = torch.device(device_type)
    if device_type == "cuda":
        visible = torch.cuda.device_count()
        # One visible where the scheduler gives each process its own.
        if visible > 1 and local_rank is not None and local_rank >= visible:
            raise DataError(
                f"{visible} GPUs are visible here, too few for as many processes.",
                key="execution.num_processes",
                value=world_size,
            )
        device = torch.device("cuda", local_rank or 0 if visible > 1 else 0)
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo",
        init_method=os.environ.get("KITUI_MEET", "env://"),
        rank=rank or 0,
        world_size=world_size,
    )
    return Ranks(rank or 0, world_size), device


def end(code: int) -> int:
    """The exit code. One of several processes ends here and now: in torch 2.13 gloo's last thread can wait for the
    interpreter that waits for it, once its objects are taken down."""
    if dist.is_initialized():
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # on a full disk the code alone says how it ended
                stream.flush()
        os._exit(code)
    return code


_VARIABLES = (("RANK", "SLURM_PROCID"), ("LOCAL_RANK", "SLURM_LOCALID"), ("WORLD_SIZE", "SLURM_NTASKS"))


def _number(name: str, of_slurm: str) -> int | None:
    """A variable of torchrun's; srun's own where that is how the processes were started."""
    value = os.environ.get(name)
    if value is None and "KITUI_SRUN" in os.environ:
        value = os.environ.get(of_slurm)
    return None if value is None else int(value)


def divide(decoder: Decoder, ranks: Ranks, data_parallel: str, device: torch.device) -> torch.nn.Module:
    """The decoder as it is to be called in training: as it is, in DDP (`ddp`), or divided among the ranks (`fsdp`).
    All start with the first rank's weights."""
    if ranks.world_size == 1:
        return decoder
    with torch.no_grad():
        for parameter in decoder.parameters():
            dist.broadcast(parameter, 0)
    if data_parallel == "ddp":
        return DistributedDataParallel(decoder, gradient_as_bucket_view=True)
    mesh = init_device_mesh(device.type, (ranks.world_size,))
    for block in decoder.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(decoder, mesh=mesh)
    return decoder


def is_divided(decoder: Decoder) -> bool:
    """Whether the weights are divided among the ranks (fsdp)."""
    return isinstance(decoder, FSDPModule)


def put_back(decoder: Decoder) -> None:
    """After a forward pass without a backward: FSDP keeps the outermost weights gathered for it."""
    if isinstance(decoder, FSDPModule):
        decoder.reshard()


def without_exchange(called: torch.nn.Module) -> AbstractContextManager[None]:
    """For all backward passes of a step but the last: DDP exchanges gradients once a step."""
    if isinstance(called, DistributedDataParallel):
        no_sync: AbstractContextManager[None] = called.no_sync()
        return no_sync
    return nullcontext()


def whole(tensor: Any) -> torch.Tensor:
    """All rows of a tensor that may be divided among the ranks, on every rank."""
    full: torch.Tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full


def own_rows(tensor: Any) -> torch.Tensor:
    """The rows that lie on this rank: all where it is not divided."""
    local: torch.Tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return local


def first_row(num_rows: int, ranks: Ranks) -> int:
    """Where this rank's rows begin in a divided tensor: FSDP2 deals them out as `torch.chunk` does."""
    return min(num_rows, ranks.rank * -(-num_rows // ranks.world_size))


def like(rows: torch.Tensor, parameter: Any) -> torch.Tensor:
    """This rank's rows as a tensor divided like `parameter`."""
    if not isinstance(parameter, DTensor):
        return rows
    mesh, placements = parameter.device_mesh, parameter.placements
    divided: torch.Tensor = DTensor.from_local(rows, mesh, placements, shape=parameter.shape, stride=parameter.stride())
    return divided
