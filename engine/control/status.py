"""The state of everything, as a reader sees it: counts by sweep, alerts, hosts. Quick, and nothing is started."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.control.alerts import disk_alert, run_alerts
from engine.control.store import Lock, State
from engine.records.results import SCHEMA_VERSION, latest_plan
from engine.records.workspace import Workspace

STATES = ("done", "running", "queued", "preparing", "paused", "failed", "diverged", "lost", "unreachable", "cancelled")


def cell_state(sweep: dict[str, Any], run: dict[str, Any] | None) -> str:
    """How a cell of this sweep stands: its own scores count, whatever the run does for another sweep."""
    if run is None:
        return "queued"
    result = run["results"].get(sweep["evaluation_id"])
    if result is not None:
        return str(result["status"])
    if run["state"] == "running":
        return "running"
    if run["state"] in ("queued", "done", "diverged"):
        if not sweep["active"]:
            if sweep.get("paused"):
                return "paused"
            return "failed" if sweep["prepare_error"] else "cancelled"
        return "preparing" if sweep["prepared"] is None else "queued"
    return str(run["state"])


def sweep_status(
    name: str,
    sweep: dict[str, Any],
    runs: dict[str, dict[str, Any]],
    live: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """One sweep's line of `kitui status --json`. `live`: what `run_alerts` found, by run."""
    counts = dict.fromkeys(STATES, 0)
    alerts = [f"preparation failed: {sweep['prepare_error']}"] if sweep["prepare_error"] else []
    if sweep.get("analysis_error"):
        alerts.append(sweep["analysis_error"])
    for run_id in sweep["run_ids"]:
        run = runs.get(run_id)
        state = cell_state(sweep, run)
        counts[state] += 1
        if run_id in live and state == "running":
            alerts.append(f"{run_id}: {live[run_id]}")
        if run is None or sweep["prepare_error"]:
            continue
        if state in ("failed", "lost", "diverged"):
            alerts.append(f"{run_id} {state}" + (f": {run['reason']}" if run["reason"] else ""))
        elif state == "queued" and run["reason"]:
            alerts.append(f"{run_id} waits to be started again: {run['reason']}")
        elif state == "done" and not run["results"][sweep["evaluation_id"]]["exposures_as_planned"]:
            alerts.append(f"{run_id}: realised exposures differ from the plan")
    eta_at, between = sweep.get("eta_at_s"), sweep.get("eta_between_s")
    remaining = counts["running"] + counts["queued"] + counts["preparing"]
    return {
        "name": name,
        "simulated": False,
        "archived": sweep.get("archived", False),
        "cells": len(sweep["run_ids"]),
        **counts,
        "eta_s": max(0.0, eta_at - time.time()) if eta_at and remaining else None,
        "eta_spread_s": [max(0.0, at - time.time()) for at in between] if between and remaining else None,
        "alerts": alerts,
    }


def status(workspace: Workspace, state: State, only: str | None = None) -> dict[str, Any]:
    """The document of `kitui status --json`. `state` is refreshed first."""
    state.refresh()
    live = run_alerts(workspace, state.runs)
    sweeps = [sweep_status(n, s, state.runs, live) for n, s in sorted(state.sweeps.items()) if only in (None, n)]
    full = disk_alert(workspace)
    for row in sweeps:
        if full and row["running"] + row["queued"] + row["preparing"]:
            row["alerts"].insert(0, full)
    for name in workspace.sweep_names():
        if name not in state.sweeps and only in (None, name):
            plan = latest_plan(workspace.sweep(name))
            if plan is not None and (plan.imported or plan.simulated):
                done = dict.fromkeys(STATES, 0) | {"done": len(plan.cells)}
                row = {"name": name, "simulated": plan.simulated, "cells": len(plan.cells), **done}
                row["archived"] = workspace.sweep(name).archived.exists()
                sweeps.append(row | {"eta_s": None, "eta_spread_s": None, "alerts": []})
    holder = Lock(workspace).holder()
    running = sum(run["state"] == "running" for run in state.runs.values())
    return {
        "schema_version": SCHEMA_VERSION,
        "sweeps": sweeps,
        "supervisor": {"alive": holder is not None, "pid": holder["pid"] if holder else None},
        "hosts": [{"name": "local", "cores": len(os.sched_getaffinity(0)), "running": running}],
    }
