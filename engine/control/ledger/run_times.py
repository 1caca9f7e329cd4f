"""How long a sweep's runs take on each of its hosts: by what has ended there, as far as anything has."""

from __future__ import annotations

from engine.records import forecast
from engine.records.plan import Plan
from engine.records.states import Runs, RunState


class RunTimes:
    """How long each run of a plan takes on each host, from those that ran there."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cells = {cell.run_id: cell for cell in plan.cells}
        self.most_processes = max((cell.num_processes for cell in plan.cells), default=1)
        self._rates: dict[str | None, dict[str, float]] = {}
        self._flops: dict[str | None, float | None] = {}

    def has(self, run_id: str) -> bool:
        return run_id in self._cells

    def training_disk_bytes(self, run_id: str) -> int:
        return forecast.training_disk_bytes(self._cells[run_id])

    def learn(self, runs: Runs) -> None:
        """Take in what has ended, by host and (under None) on all of them together."""
        by_host: dict[str | None, dict[str, RunState]] = {None: {}}
        for run_id in self._cells:
            run = runs.get(run_id)
            if run is not None and run.results:
                by_host.setdefault(run.host, {})[run_id] = run
                by_host[None][run_id] = run
        self._rates = {host: forecast.rates_of_runs(self._plan, some) for host, some in by_host.items()}
        self._flops = {host: forecast.flops_rate(self._plan, rates) for host, rates in self._rates.items()}

    def measured_s(self, run_id: str, host: str) -> float | None:
        """Seconds that the run takes there by what ended there, or else by what ended on other hosts."""
        for key in (host, None):
            seconds = forecast.cell_seconds(self._cells[run_id], self._rates.get(key, {}), self._flops.get(key))
            if seconds is not None:
                return seconds
        return None

    def seconds(self, run_id: str, host: str) -> float:
        """The same; while nothing has ended anywhere, what serves to compare runs: all hosts are alike then."""
        measured = self.measured_s(run_id, host)
        if measured is not None:
            return measured
        cell = self._cells[run_id]
        return (cell.train_flops or 6.0 * cell.num_params * cell.num_tokens) / (1e9 * cell.num_processes)
