"""One run: a run folder in, a finished run out.

    python -m engine.training.run RUN_FOLDER [--threads N]                              one process
    torchrun --nproc-per-node=2 -m engine.training.run RUN_FOLDER                       several, started by anything
    python -m engine.training.processes 2 RUN_FOLDER                                    several, as kitui starts them

Exit codes: 0 finished (done or diverged: the result says which) · 75 interrupted after a checkpoint, to be started
again · 73 the disk has no room: the same, later · 65 its files are not what was written: its sweep is to be prepared
again · 2 a fault in the run's inputs · 1 anything else. CUDA is used where a device is visible.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import platform
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

from engine.corpus.background import open_background
from engine.corpus.tokenizer import load_tokenizer
from engine.errors import DAMAGED, NO_ROOM, STOPPED_AFTER_CHECKPOINT, DamageError, KituiError, is_no_room
from engine.records.bundle import read_section
from engine.records.metrics import MetricsWriter
from engine.records.record import write_record
from engine.records.results import Execution, RunResult
from engine.records.seals import check_manifest
from engine.records.workspace import RunFolder
from engine.spec.runspec import FactSets, RunSpec, check_identity
from engine.training.ranks import end, join
from engine.training.trainer import Trainer


def run(folder: RunFolder, *, num_threads: int, attempt: int, warm_start: bool) -> int:
    """Train the run in `folder` from wherever it stands, and write its result. Returns the exit code."""
    started_s, begun_s = time.time(), time.monotonic()
    torch.set_num_threads(num_threads)
    keep_freed_memory()
    spec = read_section(RunSpec, folder.spec)
    workspace = folder.workspace
    facts = read_section(FactSets, workspace.facts(spec.facts_id))
    check_identity(spec, facts, folder.root)
    tokens = workspace.tokens(spec.tokens_id)
    check_manifest(tokens)
    stop_requested = False

    def request_stop(*_: object) -> None:
        nonlocal stop_requested
        stop_requested = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):  # the last is how srun passes it on
        signal.signal(number, request_stop)
    ranks, device = join("cuda" if torch.cuda.is_available() else "cpu")
    writer = MetricsWriter(folder.metrics if ranks.is_first else Path(os.devnull))  # one rank speaks for all
    trainer = Trainer(
        folder,
        spec,
        facts,
        load_tokenizer(tokens),
        open_background(tokens),
        device=device,
        attempt=attempt,
        writer=writer,
        ranks=ranks,
    )
    ending = trainer.train(lambda: stop_requested)
    writer.close()
    if ending.status == "interrupted":
        return end(STOPPED_AFTER_CHECKPOINT)
    if not ranks.is_first:
        return end(0)
    flops = spec.model.train_flops_per_token(trainer.decoder.causal_lm.config.vocab_size, spec.training.context_length)
    result = RunResult(
        run_id=spec.run_id,
        evaluation_id=spec.evaluation_id,
        status="done" if ending.status == "done" else "diverged",
        attempt=attempt,
        num_steps=ending.num_steps,
        num_tokens=ending.num_tokens,
        background_epochs=ending.background_epochs,
        num_params=ending.num_params,
        num_params_total=ending.num_params_total,
        train_flops=flops * ending.num_tokens,
        sets=ending.sets,
        background_loss=ending.background_loss,
        exposures=ending.exposures,
        exposures_as_planned=ending.exposures_as_planned,
        questions=ending.questions,
        execution=Execution(
            device=device_name(device),
            num_threads=num_threads,
            torch_version=str(torch.__version__),
            host=platform.node(),
            started_s=started_s,
            elapsed_s=time.monotonic() - begun_s,
            tokens_per_s=ending.trained_tokens / ending.train_s if ending.train_s else 0.0,
            warm_start=warm_start,
            num_processes=ranks.world_size,
            data_parallel=spec.data_parallel if ranks.world_size > 1 else None,
        ),
    )
    write_record(folder.result(spec.evaluation_id), result)
    return end(0)


def keep_freed_memory() -> None:
    """Have glibc keep freed blocks instead of returning them to the kernel after every step.

    A small model allocates and frees the same few megabytes each step; faulting the pages in again took a third to a
    half of its time. Other C libraries have no mallopt, and need none of this.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(-3, 32 * 2**20)  # M_MMAP_THRESHOLD: its largest value
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
    mallopt(-2, 64 * 2**20)  # M_TOP_PAD


def device_name(device: torch.device) -> str:
    """The GPU's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main(arguments: list[str] | None = None, *, warm_start: bool = False) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.training.run")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--attempt", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        folder = RunFolder(options.folder.resolve())
        return run(folder, num_threads=options.threads, attempt=options.attempt, warm_start=warm_start)
    except DamageError as error:
        _say(f"error: {error}")
        return end(DAMAGED)
    except KituiError as error:
        _say(f"error: {error}")
        return end(error.exit_code)
    except OSError as error:
        _say(f"error: {error.filename or options.folder}: {os.strerror(error.errno or 0)}.")
        return end(NO_ROOM if is_no_room(error) else 1)
    except Exception:
        _say(traceback.format_exc())
        return end(1)


def _say(words: str) -> None:
    """The last line of the log is what a failed run is known by. On a full disk it has to go without."""
    with contextlib.suppress(OSError):
        print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
