"""How long runs take on hosts, from what ended there."""

from __future__ import annotations

import msgspec

from engine.control.ledger.run_times import RunTimes
from engine.records.states import RunState
from tests.conftest import Prepared
from tests.factory import make_run, make_summary


def ended(run_id: str, evaluation_id: str, host: str, tokens: int, elapsed_s: float) -> RunState:
    summary = make_summary(tokens_per_s=tokens / elapsed_s, trained_tokens=tokens, elapsed_s=elapsed_s)
    return make_run(run_id, "done", host=host, results={evaluation_id: summary})


def test_a_host_is_known_by_its_own_runs_and_until_then_by_the_others(smoke: Prepared) -> None:
    plan = smoke.bundle.plan
    small = [cell for cell in plan.cells if cell.model == "nano-3k"]
    large = [cell for cell in plan.cells if cell.model == "nano-7k"]
    times = RunTimes(plan)
    times.learn({})
    assert times.measured_s(small[0].run_id, "quick") is None
    assert times.seconds(large[0].run_id, "quick") > times.seconds(small[0].run_id, "slow") > 0  # by their arithmetic

    runs = {}
    for cell, host, seconds in ((small[0], "quick", 10.0), (small[1], "slow", 100.0)):
        tokens = cell.total_tokens or cell.num_tokens
        runs[cell.run_id] = ended(cell.run_id, plan.evaluation_id, host, tokens, seconds)
    times.learn(runs)
    assert round(times.seconds(small[2].run_id, "quick")) == 11  # and a second to start
    assert round(times.seconds(small[2].run_id, "slow")) == 101
    assert round(times.seconds(small[2].run_id, "new")) == 56
    assert times.seconds(large[0].run_id, "slow") > times.seconds(large[0].run_id, "quick") > 11


def test_several_processes_are_as_many_times_as_quick(smoke: Prepared) -> None:
    cells = tuple(msgspec.structs.replace(cell, num_processes=4) for cell in smoke.bundle.plan.cells)
    plan = msgspec.structs.replace(smoke.bundle.plan, cells=cells)
    run_id = cells[0].run_id
    assert RunTimes(smoke.bundle.plan).seconds(run_id, "h") == 4 * RunTimes(plan).seconds(run_id, "h")
