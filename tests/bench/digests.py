"""What digests cost: their share of the time in which a run of the demo is trained, scored and written.

    python -m tests.bench.digests [--model nano-49k]

Every SHA-256 that is taken while one run goes is timed, whatever it is of: token blocks as they are read, the
tokenizer, specs and facts, checkpoints and results as they are written, names of shuffles. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.records.workspace import Workspace, write_json
from engine.training.run import run
from tests.conftest import SAMPLES, prepare


class Timed:
    """Time spent in calls of a function, and how many there were."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds, self.calls = function, 0.0, 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        begun_s = time.perf_counter()
        try:
            return self.function(*arguments, **named)
        finally:
            self.seconds += time.perf_counter() - begun_s
            self.calls += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="one of the demo's sizes; the smallest by default")
    model = parser.parse_args().model
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        workspace.create()
        bundle = prepare(SAMPLES / "laptop.toml", workspace).bundle
        cell = next(c for c in bundle.plan.cells if model is None or c.model == model)
        place = workspace.run(cell.run_id)
        place.root.mkdir(parents=True)
        spec = next(s for s in bundle.runs if s.run_id == cell.run_id)
        write_json(place.spec, spec.model_dump(mode="json"))
        small, whole_files = Timed(hashlib.sha256), Timed(hashlib.file_digest)
        hashlib.sha256, hashlib.file_digest = small, whole_files  # type: ignore[assignment]
        begun_s = time.perf_counter()
        assert run(place, num_threads=1, attempt=1, warm_start=False) == 0
        wall_s = time.perf_counter() - begun_s
    seconds = small.seconds + whole_files.seconds
    print(
        json.dumps(
            {
                "run": cell.run_id,
                "wall_s": round(wall_s, 3),
                "digests_s": round(seconds, 4),
                "share": round(seconds / wall_s, 5),
                "calls": small.calls + whole_files.calls,
            }
        )
    )


if __name__ == "__main__":
    main()
