"""Runs of the training itself, in this process or a forked one."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.records.bundle import SweepBundle
from engine.records.results import RunResult, read_result
from engine.records.workspace import RunFolder, Workspace, write_json
from engine.spec.runspec import RunSpec, content_id, evaluation_identity, run_name
from engine.training.run import run
from tests.conftest import prepare


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A run takes over SIGTERM and SIGINT of its process."""
    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Lab:
    """One small prepared sweep, whose runs are trained by hand, each in a workspace of its own."""

    def __init__(self, workspace: Workspace, bundle: SweepBundle) -> None:
        self.workspace, self.runs, self.facts = workspace, bundle.runs, bundle.facts

    def spec(self, *, frequency: int = 12, model: str = "nano-7k", seed: int = 0, **changes: Any) -> RunSpec:
        chosen = [r for r in self.runs if (r.frequency, r.model.name, r.seed) == (frequency, model, seed)]
        assert len(chosen) == 1
        return chosen[0].model_copy(update=changes)

    def named(self, spec: RunSpec) -> RunSpec:
        """The spec under the names that it has with its changes."""
        evaluation_id = content_id(evaluation_identity(spec.evaluation, self.facts))
        return spec.model_copy(update={"run_id": run_name(spec, self.facts), "evaluation_id": evaluation_id})

    def folder(self, name: str, spec: RunSpec) -> RunFolder:
        spec = self.named(spec)
        own = Workspace(self.workspace.root / name)
        if not own.root.exists():
            (own.root / "runs").mkdir(parents=True)
            for shared in ("tokens", "facts"):
                (own.root / shared).symlink_to(self.workspace.root / shared)
        folder = own.run(spec.run_id)
        folder.root.mkdir(exist_ok=True)
        write_json(folder.spec, spec.model_dump(mode="json"))
        return folder

    def result(self, name: str, spec: RunSpec) -> RunResult:
        result = read_result(self.folder(name, spec).result(self.named(spec).evaluation_id))
        assert result is not None
        return result

    def train(self, name: str, spec: RunSpec, attempt: int = 1) -> RunResult:
        folder = self.folder(name, spec)
        assert run(folder, num_threads=1, attempt=attempt, warm_start=False) == 0
        return self.result(name, spec)

    def start_ranks(
        self, name: str, spec: RunSpec, num_processes: int, attempt: int = 1
    ) -> list[multiprocessing.Process]:
        """The run by several forked processes."""
        folder = self.folder(name, spec)
        meet = self.workspace.root / f"meet-{name}-{attempt}"

        def main(rank: int) -> None:
            os.environ.update(
                RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(num_processes), KITUI_MEET=f"file://{meet}"
            )
            raise SystemExit(run(folder, num_threads=1, attempt=attempt, warm_start=True))

        fork = multiprocessing.get_context("fork")
        processes = [fork.Process(target=main, args=(rank,)) for rank in range(num_processes)]
        for process in processes:
            process.start()
        return processes

    def train_by(self, num_processes: int, name: str, spec: RunSpec, attempt: int = 1) -> RunResult:
        processes = self.start_ranks(name, spec, num_processes, attempt)
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0] * num_processes
        return self.result(name, spec)

    def start(self, name: str, spec: RunSpec, attempt: int = 1) -> multiprocessing.Process:
        """The run in a forked process of its own, to be killed."""
        folder = self.folder(name, spec)

        def main() -> None:
            code = run(folder, num_threads=1, attempt=attempt, warm_start=True)
            raise SystemExit(code)

        process = multiprocessing.get_context("fork").Process(target=main)
        process.start()
        return process


@pytest.fixture
def lab_of(tmp_path: Path, write_sweep: Callable[..., Path]) -> Callable[..., Lab]:
    def make(text: str | None = None, **changes: str) -> Lab:
        workspace = Workspace(tmp_path / "lab")
        workspace.create()
        prepared = prepare(write_sweep(text, **changes), workspace)
        return Lab(workspace, prepared.bundle)

    return make


@pytest.fixture
def lab(lab_of: Callable[..., Lab]) -> Lab:
    """Ten thousand tokens a run: a second each."""
    return lab_of(num_tokens='["10k"]', every_tokens='"3k"', prior_rate="1000")
