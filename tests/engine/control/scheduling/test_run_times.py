"""How long runs take on hosts, from what ended there."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.control.scheduling.run_times import Pace
from tests.conftest import Prepared


def ended(host: str, tokens: int, elapsed_s: float) -> dict[str, Any]:
    summary = {"attempt": 1, "tokens_per_s": tokens / elapsed_s, "trained_tokens": tokens, "elapsed_s": elapsed_s}
    return {"host": host, "state": "done", "results": {}, "summary": summary}


def test_a_host_is_known_by_its_own_runs_and_until_then_by_the_others(smoke: Prepared) -> None:
    plan = smoke.bundle.plan
    small = [cell for cell in plan.cells if cell.model == "nano-3k"]
    large = [cell for cell in plan.cells if cell.model == "nano-7k"]
    pace = Pace(plan)
    pace.learn({})
    assert pace.measured_s(small[0].run_id, "quick") is None
    assert pace.seconds(large[0].run_id, "quick") > pace.seconds(small[0].run_id, "slow") > 0  # by their arithmetic

    runs = {}
    for cell, host, seconds in ((small[0], "quick", 10.0), (small[1], "slow", 100.0)):
        run = ended(host, cell.total_tokens or cell.num_tokens, seconds)
        runs[cell.run_id] = run | {"results": {plan.evaluation_id: run["summary"]}}
    pace.learn(runs)
    assert round(pace.seconds(small[2].run_id, "quick")) == 11  # and a second to start
    assert round(pace.seconds(small[2].run_id, "slow")) == 101
    assert round(pace.seconds(small[2].run_id, "new")) == 56
    assert pace.seconds(large[0].run_id, "slow") > pace.seconds(large[0].run_id, "quick") > 11


def test_several_processes_are_as_many_times_as_quick(smoke: Prepared) -> None:
    cells = tuple(msgspec.structs.replace(cell, num_processes=4) for cell in smoke.bundle.plan.cells)
    plan = msgspec.structs.replace(smoke.bundle.plan, cells=cells)
    run_id = cells[0].run_id
    assert Pace(smoke.bundle.plan).seconds(run_id, "h") == 4 * Pace(plan).seconds(run_id, "h")
