"""The state of everything, as a reader sees it: counts by sweep, alerts, hosts. Quick, and nothing is started."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from engine.control.alerts import disk_alert, run_alerts
from engine.control.ledger.lock import Holder, Lock
from engine.control.ledger.state_file import State
from engine.control.onhost import guard
from engine.control.scheduling.caps import going_on_s, used_up
from engine.errors import KituiError
from engine.records.hosts import read_hosts
from engine.records.plan import Plan, latest_plan
from engine.records.preparation import read_preparation
from engine.records.processes import GuardRecord
from engine.records.record import read_record
from engine.records.states import (
    ALL_HOSTS,
    LOCAL,
    Hosts,
    HostState,
    Runs,
    RunState,
    RunStatus,
    SweepState,
    cell_status,
    hosts_away,
    no_counts,
)
from engine.records.status import CappedSweep, HostStatus, StatusDocument, SupervisorStatus, SweepStatus
from engine.records.workspace import SweepFolder, Workspace


def status(workspace: Workspace, state: State, only: str | None = None) -> StatusDocument:
    """How everything stands. `state` is refreshed first; `only` names the one sweep that is wanted."""
    state.refresh()
    live = run_alerts(workspace, state.runs)
    full_disk = disk_alert(workspace)
    holder = Lock(workspace).holder()
    unseen = unseen_runs(workspace, state.runs)
    sweeps = [
        sweep_status(sweep, state.runs, live, state.hosts, full_disk, unseen, _left_alone(holder, name))
        for name, sweep in sorted(state.sweeps.items())
        if only in (None, name)
    ]
    sweeps = [with_preparation(row, workspace) for row in sweeps]
    for name in workspace.sweep_names():
        if name not in state.sweeps and only in (None, name):
            plan = latest_plan(workspace.sweep(name))
            if plan is not None and plan.is_foreign:
                sweeps.append(_foreign_status(workspace.sweep(name), plan))
    supervisor = SupervisorStatus(
        alive=holder is not None,
        pid=holder.pid if holder else None,
        stopped=holder is not None and holder.is_stopped,
    )
    return StatusDocument(sweeps=tuple(sweeps), supervisor=supervisor, hosts=_host_rows(workspace, state, unseen))


def _foreign_status(folder: SweepFolder, plan: Plan) -> SweepStatus:
    """How a sweep stands that was imported or simulated: it has ended."""
    return SweepStatus(
        name=folder.root.name,
        simulated=plan.simulated,
        archived=folder.archived.exists(),
        launched_s=folder.plan.stat().st_mtime,
        cells=len(plan.cells),
        counts=no_counts() | {RunStatus.DONE: len(plan.cells)},
    )


def sweep_status(
    sweep: SweepState,
    runs: Runs,
    live: Mapping[str, str] = MappingProxyType({}),
    hosts: Hosts = MappingProxyType({}),
    full_disk: str | None = None,
    unseen: Mapping[str, RunStatus] = MappingProxyType({}),
    left_alone: str = "",
) -> SweepStatus:
    """How one sweep stands. `live`: what `run_alerts` found, by run; `full_disk`: what `disk_alert` did; `unseen`:
    what `unseen_runs` did; `left_alone`: why nobody carries it on, if nobody does."""
    counts, alerts = no_counts(), _sweep_alerts(sweep, runs, hosts)
    away = hosts_away(hosts)
    for run_id in sweep.run_ids:
        run = runs.get(run_id)
        status = cell_status(sweep, run, away, unseen)
        counts[status] += 1
        if run_id in live and status is RunStatus.RUNNING:
            alerts.append(f"{run_id}: {live[run_id]}")
        if run is not None and not sweep.prepare_error:
            words = _run_alert(run, sweep, status)
            if words:
                alerts.append(f"{run_id}{words}")
    is_open = any(number for status, number in counts.items() if status.is_open)
    if full_disk and is_open:
        alerts.insert(0, full_disk)
    if is_open and left_alone:
        num_dead = counts[RunStatus.INTERRUPTED]
        interrupted = f"{num_dead} {'run is' if num_dead == 1 else 'runs are'} interrupted, and " if num_dead else ""
        alerts.insert(0, f"{interrupted}{left_alone}")
    now_s = time.time()
    eta_at_s, between = (sweep.eta_at_s, sweep.eta_between_s) if is_open and not left_alone else (None, None)
    return SweepStatus(
        name=sweep.name,
        archived=sweep.archived,
        launched_s=sweep.launched_s or None,
        cells=len(sweep.run_ids),
        counts=counts,
        eta_s=max(0.0, eta_at_s - now_s) if eta_at_s else None,
        eta_spread_s=(max(0.0, between[0] - now_s), max(0.0, between[1] - now_s)) if between else None,
        alerts=tuple(alerts),
    )


def with_preparation(row: SweepStatus, workspace: Workspace) -> SweepStatus:
    """The row with how far its preparation has come, if it is being prepared."""
    if not row.num(RunStatus.PREPARING):
        return row
    return msgspec.structs.replace(row, preparation=read_preparation(workspace, row.name))


def _left_alone(holder: Holder | None, sweep: str) -> str:
    """Why nothing carries a sweep on, if nothing does."""
    if holder is None:
        return f"nothing carries it on: kitui watch {sweep} does, and so does the app"
    return holder.stopped_words() if holder.is_stopped else ""


def unseen_runs(workspace: Workspace, runs: Runs) -> dict[str, RunStatus]:
    """The runs that the state has as running while nobody looks after them, and how they stand: on this machine those
    that no living guard owns are interrupted; of those on other hosts nobody can tell. None while there is a
    supervisor: it would have noticed."""
    if Lock(workspace).holder() is not None:
        return {}
    unseen = {}
    for run_id, run in runs.items():
        if run.is_running and run.host != LOCAL:
            unseen[run_id] = RunStatus.UNREACHABLE
        elif run.is_running:
            try:
                owner = read_record(GuardRecord, workspace.run(run_id).guard)
            except KituiError:
                owner = None
            is_owned = owner is not None and owner.attempt == run.attempt
            if not (is_owned and owner and guard.is_alive(owner.pid, owner.start_ticks, owner.boot_id)):
                unseen[run_id] = RunStatus.INTERRUPTED
    return unseen


def _sweep_alerts(sweep: SweepState, runs: Runs, hosts: Hosts) -> list[str]:
    """What is wrong with the sweep itself, or with its hosts."""
    alerts = [f"preparation failed: {sweep.prepare_error}"] if sweep.prepare_error else []
    if sweep.analysis_error:
        alerts.append(sweep.analysis_error)
    if not sweep.prepare_error:
        alerts.extend(f"not prepared on {host}: {words}" for host, words in sweep.host_faults.items())
    if sweep.active:
        theirs = [hosts[name] for name in sweep.hosts if name in hosts]
        alerts.extend(f"{host.name}: {words}" for host in theirs if (words := host_words(host)))
        alerts.extend(words for words in (sweep.too_wide, sweep.disk_full) if words)
        for name, hours in used_up(sweep, runs, time.time()).items():
            mend = f"kitui cap {sweep.name} {name}=HOURS changes it"
            where = "all hosts together" if name == ALL_HOSTS else name
            alerts.append(f"{where}: the cap of {hours:g} GPU-hours is used up; {mend}")
    return alerts


def _run_alert(run: RunState, sweep: SweepState, status: RunStatus) -> str:
    """What a person should know of an ended or waiting run, after its name."""
    if status.is_trouble:
        return f" {status}" + (f": {run.reason}" if run.reason else "")
    if status is RunStatus.QUEUED and run.reason:
        return f" waits to be started again: {run.reason}"
    if status is RunStatus.DONE and not run.results[sweep.evaluation_id].exposures_as_planned:
        return ": realised exposures differ from the plan"
    return ""


def host_words(host: HostState) -> str:
    """What is wrong with a host, in words."""
    if host.unreachable_since_s:
        since = time.strftime("%F %H:%M", time.localtime(host.unreachable_since_s))
        return f"unreachable since {since}: {host.fault}"
    if host.set_aside:
        again = f"one run tries it again now and then; kitui hosts reopen {host.name} takes it back at once"
        return f"{host.set_aside}; {again}"
    return host.fault or ("drained: nothing is started there" if host.drained else "")


def _host_rows(workspace: Workspace, state: State, unseen: Mapping[str, RunStatus]) -> tuple[HostStatus, ...]:
    """This machine, and those of hosts.toml: what is busy there, what has been used, and what is wrong."""
    try:
        known = read_hosts(workspace)
    except KituiError:  # `kitui hosts` says what is wrong with it
        known = {}
    running: Counter[str] = Counter()
    used_s: dict[str, float] = defaultdict(float)
    now_s = time.time()
    for run in state.runs.values():
        if run.is_running and unseen.get(run.name) is not RunStatus.INTERRUPTED:
            running[run.host] += 1
            used_s[run.host] += going_on_s(run, now_s)
        for host, seconds in run.used_s.items():
            used_s[host] += seconds
    rows = []
    for name in (LOCAL, *sorted({*known, *state.hosts} - {LOCAL})):
        table, met = known.get(name), state.hosts.get(name)
        cores = len(os.sched_getaffinity(0)) if name == LOCAL else None
        wanting = [sweep for sweep in state.sweeps.values() if sweep.active and name in sweep.hosts]
        rows.append(
            HostStatus(
                name=name,
                kind=table.kind if table else LOCAL,
                ssh=table.ssh if table else None,
                workspace=table.workspace if table else None,
                slots=cores or (met.slots if met else None),
                running=running[name],
                slot_hours=round(used_s[name] / 3600, 2),
                open=met is None or met.is_open,
                fault=host_words(met) if met else "",
                sweeps=tuple(CappedSweep(name=sweep.name, cap_hours=sweep.caps.get(name)) for sweep in wanting),
            )
        )
    return tuple(rows)
