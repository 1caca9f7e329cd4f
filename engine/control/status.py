"""The state of everything, as a reader sees it: counts by sweep, alerts, hosts. Quick, and nothing is started."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.control.alerts import disk_alert, run_alerts
from engine.control.hosts.config import LOCAL, host_of, hosts_of, read_hosts
from engine.control.scheduling.caps import used_up
from engine.control.store import Lock, State
from engine.errors import KituiError
from engine.records.results import SCHEMA_VERSION, latest_plan
from engine.records.workspace import Workspace

STATES = ("done", "running", "queued", "preparing", "paused", "failed", "diverged", "lost", "unreachable", "cancelled")

OPEN = ("running", "unreachable", "queued", "preparing")
"""What is still to come to its end, by itself."""


def cell_state(sweep: dict[str, Any], run: dict[str, Any] | None) -> str:
    """How a cell of this sweep stands: its own scores count, whatever the run does for another sweep."""
    if run is None:
        return "queued"
    result = run["results"].get(sweep["evaluation_id"])
    if result is not None:
        return str(result["status"])
    if run["state"] == "running":
        return "queued" if run.get("waiting") else "running"
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
    hosts: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """One sweep's line of `kitui status --json`. `live`: what `run_alerts` found, by run; `hosts`: the state's."""
    counts = dict.fromkeys(STATES, 0)
    away = {name for name, host in hosts.items() if host["unreachable_since_s"]}
    alerts = [f"preparation failed: {sweep['prepare_error']}"] if sweep["prepare_error"] else []
    if sweep.get("analysis_error"):
        alerts.append(sweep["analysis_error"])
    if not sweep["prepare_error"]:
        alerts.extend(f"not prepared on {host}: {words}" for host, words in sweep.get("host_faults", {}).items())
    theirs = [hosts[name] for name in sweep.get("hosts", ()) if name in hosts and sweep["active"]]
    alerts.extend(f"{host['name']}: {words}" for host in theirs if (words := host_words(host)))
    if sweep["active"]:
        alerts.extend([sweep["too_wide"]] if sweep.get("too_wide") else [])
        for host, hours in used_up(sweep, runs, time.time()).items():
            alerts.append(
                f"{host}: the cap of {hours:g} GPU-hours is used up; kitui cap {name} {host}=HOURS changes it"
            )
    for run_id in sweep["run_ids"]:
        run = runs.get(run_id)
        state = cell_state(sweep, run)
        if state == "running" and run is not None and run.get("host") in away:
            state = "unreachable"
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
    remaining = sum(counts[state] for state in OPEN)
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


def host_words(host: Mapping[str, Any]) -> str:
    """What is wrong with a host, in words."""
    since_s = host["unreachable_since_s"]
    if since_s:
        return f"unreachable since {time.strftime('%F %H:%M', time.localtime(since_s))}: {host['fault']}"
    if host.get("set_aside"):
        return f"{host['set_aside']}; kitui hosts reopen {host['name']} takes it back"
    return str(host["fault"]) or ("drained: nothing is started there" if host.get("drained") else "")


def status(workspace: Workspace, state: State, only: str | None = None) -> dict[str, Any]:
    """The document of `kitui status --json`. `state` is refreshed first."""
    state.refresh()
    live = run_alerts(workspace, state.runs)
    sweeps = [
        sweep_status(name, sweep, state.runs, live, state.hosts)
        for name, sweep in sorted(state.sweeps.items())
        if only in (None, name)
    ]
    full = disk_alert(workspace)
    for row in sweeps:
        if full and any(row[state] for state in OPEN):
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
    return {
        "schema_version": SCHEMA_VERSION,
        "sweeps": sweeps,
        "supervisor": {"alive": holder is not None, "pid": holder["pid"] if holder else None},
        "hosts": _host_rows(workspace, state),
    }


def _host_rows(workspace: Workspace, state: State) -> list[dict[str, Any]]:
    """This machine, and those of hosts.toml: what is busy there, what has been used, and what is wrong. `slots` is None
    for one that was not met yet."""
    try:
        known = read_hosts(workspace)
    except KituiError:  # `kitui hosts` says what is wrong with it
        known = {}
    running: Counter[str] = Counter()
    used_s: Counter[str] = Counter()
    now_s = time.time()
    for run in state.runs.values():
        if run["state"] == "running":
            running[host_of(run)] += 1
            if not run.get("waiting"):
                used_s[host_of(run)] += (now_s - (run.get("started_s") or now_s)) * run.get("num_processes", 1)
        for host, seconds in run.get("used_s", {}).items():
            used_s[host] += seconds
    rows = []
    for name in (LOCAL, *sorted({*known, *state.hosts} - {LOCAL})):
        table, seen = known.get(name), state.hosts.get(name, {})
        rows.append(
            {
                "name": name,
                "kind": table.kind if table else LOCAL,
                "ssh": table.ssh if table else None,
                "workspace": table.workspace if table else None,
                "slots": len(os.sched_getaffinity(0)) if name == LOCAL else seen.get("slots"),
                "running": running[name],
                "slot_hours": round(used_s[name] / 3600, 2),
                "open": not (seen.get("drained") or seen.get("set_aside")),
                "fault": host_words(seen) if seen else "",
                "sweeps": [
                    {"name": sweep["name"], "cap_hours": sweep.get("caps", {}).get(name)}
                    for sweep in state.sweeps.values()
                    if sweep["active"] and name in hosts_of(sweep)
                ],
            }
        )
    return rows
