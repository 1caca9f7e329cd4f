"""Caps: how many hours of slots (GPU-hours; of cores, where a host has no GPU) a sweep may take on a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.control.hosts.config import host_of


def used_s(sweep: Mapping[str, Any], host: str, runs: Mapping[str, Mapping[str, Any]], now_s: float) -> float:
    """Seconds of slots that a sweep's runs have taken there, in all attempts, those that go on included."""
    used = 0.0
    for run_id in sweep["run_ids"]:
        run = runs.get(run_id, {"state": ""})
        used += run.get("used_s", {}).get(host, 0.0)
        if run["state"] == "running" and host_of(run) == host and not run.get("waiting"):
            used += (now_s - (run.get("started_s") or now_s)) * run.get("num_processes", 1)
    return used


def used_up(sweep: Mapping[str, Any], runs: Mapping[str, Mapping[str, Any]], now_s: float) -> dict[str, float]:
    """The hosts whose caps a sweep has used up, with those caps in hours."""
    caps: Mapping[str, float] = sweep.get("caps", {})
    return {host: hours for host, hours in caps.items() if used_s(sweep, host, runs, now_s) >= 3600 * hours}
