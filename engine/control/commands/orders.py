"""What the supervisor does when it is told to: launch, cancel, pause, resume, retry, archive, delete."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from engine.control.commands import deletion
from engine.control.commands.deletion import no_sweep
from engine.control.hosts.config import LOCAL, host_of, hosts_of, known_host
from engine.errors import SpecError, StateError, nearest
from engine.records.bundle import SweepBundle
from engine.records.record import plain, validated
from engine.records.workspace import write_json

if TYPE_CHECKING:
    from engine.control.supervisor import Supervisor


class Orders:
    """Each order changes the state and returns its answer; the supervisor's next round carries it out."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.store, self.workspace = supervisor.store, supervisor.workspace

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        if command["command"] == "launch":
            asked = {key: command.get(key) for key in ("slots", "hosts", "priority", "caps")}
            return self._launch(validated(SweepBundle, command["bundle"]), **asked)
        names = command.get("names", [])
        match command["command"]:
            case "cancel":
                return {"runs": self._end_runs(names, "cancelled")}
            case "pause":
                return {"runs": self._end_runs(names, "paused")}
            case "retry":
                return {"runs": self._queue_again(names, ("failed", "lost", "cancelled"))}
            case "resume":
                return {"runs": self._queue_again(names, ("paused",))}
            case "archive":
                return self._archive(names, bool(command.get("archived", True)))
            case "delete":
                return {"runs": deletion.delete(self._supervisor, names)}
            case "prioritise":
                return self._prioritise(names, int(command["priority"]))
            case "cap":
                return self._cap(names, dict(command["caps"]))
            case "move":
                return {"runs": self._move(names, command["host"])}
            case "drain":
                return {"runs": self._drain(names, now=bool(command.get("now")))}
            case "reopen":
                return self._reopen_hosts(names)
        raise SpecError("unknown command.", value=command["command"])

    def _launch(
        self,
        bundle: SweepBundle,
        slots: int | None,
        hosts: list[str] | None,
        priority: int | None,
        caps: dict[str, float] | None,
    ) -> dict[str, Any]:
        """Take a sweep in, or take in its new form: runs that are done stay done, and only new cells are trained."""
        name = bundle.plan.sweep
        folder = self.workspace.sweep(name)
        if folder.results.exists():
            raise StateError(
                "an imported or simulated sweep has this name.", where=str(folder.root), mend="Rename yours."
            )
        for host in hosts or []:
            if host != LOCAL:
                known_host(self.workspace, host)
        folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(self.workspace.facts(bundle.plan.facts_id), bundle.facts.model_dump(mode="json"))
        write_json(folder.bundle, plain(bundle))
        folder.sweep_toml.write_text(bundle.sweep_toml, encoding="utf-8")
        self._supervisor.take_in(name, bundle)
        run_ids = [run.run_id for run in bundle.runs]
        num_done = 0
        for run_id in run_ids:
            run = self.store.runs.get(run_id)
            if self._supervisor.has_result(run_id, bundle.plan.evaluation_id):
                num_done += 1
            elif run is None or run["state"] in ("cancelled", "failed", "lost", "paused"):
                attempt = run["attempt"] if run else 0
                results = run["results"] if run else {}
                self.store.put("runs", run_id, state="queued", attempt=attempt, failures=0, reason="", results=results)
            else:
                self._take_back(run_id)
        previous = self.store.sweeps.get(name, {})
        orphaned = len(set(previous.get("run_ids", ())) - set(run_ids))
        self.store.put(
            "sweeps",
            name,
            active=True,
            run_ids=run_ids,
            evaluation_id=bundle.plan.evaluation_id,
            slots=slots or bundle.slots,
            hosts=list(dict.fromkeys(hosts or [LOCAL])),
            priority=previous.get("priority", 0) if priority is None else priority,
            caps=previous.get("caps", {}) | (caps or {}),
            asked_s=time.time(),
            host_faults={},
            max_attempts=bundle.max_attempts,
            prepared=None,
            ready_here=False,
            most_processes=max(run.num_processes for run in bundle.runs),
            prepare_error=None,
            launched_s=time.time(),
            ended_s=None,
            eta_at_s=None,
            eta_between_s=None,
            archived=False,
            paused=False,
            analysis_error=None,
        )
        return {"sweep": name, "cells": len(run_ids), "done": num_done, "orphaned": orphaned}

    def _end_runs(self, names: list[str], state: str) -> int:
        """Cancel or pause. Of a sweep, the runs end that no other active sweep wants; a run named itself ends."""
        ended = 0
        for name in names:
            if name in self.store.sweeps:
                self.store.put("sweeps", name, active=False, paused=state == "paused")
                wanted = {r for s in self.store.sweeps.values() if s["active"] for r in s["run_ids"]}
                if state == "cancelled":  # a paused sweep still wants its runs, later
                    self._keep_paused(name, wanted)
                    wanted |= {r for s in self.store.sweeps.values() if s.get("paused") for r in s["run_ids"]}
                chosen = [r for r in self.store.sweeps[name]["run_ids"] if r not in wanted]
                self._supervisor.stop_preparing(name)
            else:
                chosen = [self._known_run(name)]
            for run_id in chosen:
                ended += self._end_run(run_id, state)
        return ended

    def _keep_paused(self, name: str, wanted: set[str]) -> None:
        """Runs of a cancelled sweep that a paused one wants are paused with it."""
        paused = {r for s in self.store.sweeps.values() if s.get("paused") for r in s["run_ids"]}
        for run_id in self.store.sweeps[name]["run_ids"]:
            if run_id in paused and run_id not in wanted:
                self._end_run(run_id, "paused")

    def _end_run(self, run_id: str, state: str) -> bool:
        run = self.store.runs.get(run_id)
        if run is None or run["state"] not in ("queued", "running", "paused") or run["state"] == state:
            return False
        if run["state"] == "running":
            # It stays "running" until its guard says that it ended; `notice_endings` asks it to.
            self.store.put("runs", run_id, ending=state, requeue=False)
        else:
            self.store.put("runs", run_id, state=state)
        return True

    def _take_back(self, run_id: str) -> bool:
        """A run that is being ended is wanted again: if it has been asked to end already, it is queued then."""
        run = self.store.runs[run_id]
        if not run.get("ending"):
            return False
        self.store.put("runs", run_id, ending=None, requeue=run.get("stop_sent", False))
        return True

    def _queue_again(self, names: list[str], states: tuple[str, ...]) -> int:
        """Retry or resume: runs in these states are queued again, and go on from their last checkpoints."""
        queued = 0
        for name in names:
            chosen = self.store.sweeps[name]["run_ids"] if name in self.store.sweeps else [self._known_run(name)]
            before = queued
            for run_id in chosen:
                if self.store.runs[run_id]["state"] in states:
                    self.store.put("runs", run_id, state="queued", failures=0, reason="")
                    queued += 1
                else:
                    queued += self._take_back(run_id)
            is_sweep = name in self.store.sweeps
            if queued > before or (is_sweep and self._waits_for_preparation(name)):
                self._reopen(name if is_sweep else self._latest_sweep_of(chosen[0]))
        return queued

    def _waits_for_preparation(self, name: str) -> bool:
        """Whether a sweep has queued runs that nobody prepares: a preparation that failed is to be tried again."""
        sweep = self.store.sweeps[name]
        return not sweep["active"] and any(self.store.runs[r]["state"] == "queued" for r in sweep["run_ids"])

    def _archive(self, names: list[str], archived: bool) -> dict[str, Any]:
        """Take sweeps out of the lists, or back into them. Nothing else about them changes."""
        for name in names:
            if name in self.store.sweeps:
                self.store.put("sweeps", name, archived=archived)
            elif name not in self.workspace.sweep_names():
                raise no_sweep(self.store.sweeps, self.workspace, name)
            elif archived:
                self.workspace.sweep(name).archived.touch()
            else:
                self.workspace.sweep(name).archived.unlink(missing_ok=True)
        return {"archived": archived}

    # Hosts, and what goes where

    def _prioritise(self, names: list[str], priority: int) -> dict[str, Any]:
        """Have the runs of these sweeps start before those of sweeps with a lower number."""
        for name in names:
            self._known_sweep(name)
        for name in names:
            self.store.put("sweeps", name, priority=priority)
        return {"priority": priority}

    def _cap(self, names: list[str], caps: dict[str, float | None]) -> dict[str, Any]:
        """Limit the GPU-hours that a sweep's runs take on hosts; None takes a limit away."""
        for name in names:
            sweep = self._known_sweep(name)
            for host in caps:
                if host not in hosts_of(sweep):
                    raise SpecError(f"{name} is not trained there.", value=host, mend=nearest(host, hosts_of(sweep)))
        for name in names:
            kept = self.store.sweeps[name].get("caps", {}) | caps
            self.store.put("sweeps", name, caps={host: hours for host, hours in kept.items() if hours is not None})
        return {"caps": caps}

    def _move(self, names: list[str], host: str) -> int:
        """Have runs that are queued, or wait in a cluster's queue, start on this host. What trains already stays."""
        chosen = []
        for name in names:
            run_ids = self.store.sweeps[name]["run_ids"] if name in self.store.sweeps else [self._known_run(name)]
            for run_id in run_ids:
                sweep = self.store.sweeps[self._latest_sweep_of(run_id)]
                if host not in hosts_of(sweep):
                    raise SpecError(
                        f"{sweep['name']} is not prepared there.",
                        value=host,
                        mend=f"Launch it again with --host {host} beside {', '.join(hosts_of(sweep))}.",
                    )
                chosen.append(run_id)
        moved = 0
        for run_id in chosen:
            run = self.store.runs[run_id]
            if run["state"] == "queued" or run.get("waiting"):
                away = run["state"] == "running" and host_of(run) != host
                self.store.put("runs", run_id, moved_to=host, requeue=run.get("requeue") or away)
                moved += 1
        return moved

    def _drain(self, names: list[str], *, now: bool) -> int:
        """Start nothing more on these hosts. What runs there goes on to its end; or, at once, to a checkpoint, and is
        queued again for other hosts."""
        for name in names:
            if name != LOCAL:
                known_host(self.workspace, name)
        ending = 0
        for name in names:
            self._supervisor.fleet.mark(name, drained=True)
            for run_id, run in self.store.runs.items():
                if run["state"] == "running" and host_of(run) == name and not run.get("ending"):
                    if now or run.get("waiting"):
                        self.store.put("runs", run_id, requeue=True)
                    ending += 1
        return ending

    def _reopen_hosts(self, names: list[str]) -> dict[str, Any]:
        """Start runs again on hosts that were drained or set aside."""
        for name in names:
            if name != LOCAL:
                known_host(self.workspace, name)
        for name in names:
            self._supervisor.fleet.mark(name, drained=False, set_aside="", failed=[])
        return {"hosts": names}

    def _known_sweep(self, name: str) -> dict[str, Any]:
        if name not in self.store.sweeps:
            raise no_sweep(self.store.sweeps, self.workspace, name)
        return self.store.sweeps[name]

    def _reopen(self, name: str) -> None:
        sweep = self.store.put(
            "sweeps", name, active=True, paused=False, ended_s=None, eta_at_s=None, eta_between_s=None
        )
        if sweep.get("host_faults"):  # to be prepared again where that failed
            self.store.put("sweeps", name, asked_s=time.time(), host_faults={})
        if sweep["prepare_error"]:
            self.store.put("sweeps", name, prepared=None, prepare_error=None)

    def _latest_sweep_of(self, run_id: str) -> str:
        """The sweep that a run is trained for: an active one, or else the one launched last."""
        wanting = [s for s in self.store.sweeps.values() if run_id in s["run_ids"]]
        if not wanting:
            raise SpecError("no sweep has this run any more.", value=run_id, mend="Launch a sweep that does.")
        return str(max(wanting, key=lambda s: (s["active"], s["launched_s"]))["name"])

    def _known_run(self, name: str) -> str:
        matching = [r for r in self.store.runs if r == name] or [r for r in self.store.runs if r.startswith(name)]
        if len(matching) != 1:
            known = [*self.store.sweeps, *self.store.runs]
            what = "several runs begin so." if matching else "no sweep and no run has this name."
            raise SpecError(what, value=name, mend=nearest(name, (matching or known)[:20]))
        return matching[0]
