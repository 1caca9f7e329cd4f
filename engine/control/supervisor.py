"""The supervisor: one detached process a workspace, the only writer of its state.

    python -m engine.control.supervisor WORKSPACE

It takes commands from the queue folder, prepares sweeps, starts runs on free slots, notices how they end, and keeps one
analysis going for each active sweep. Everything it knows is in files: killed and started again, it adopts what runs.
It ends by itself when nothing is left to do.
"""

from __future__ import annotations

import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from engine.control.children.analyses import Followers, law_is_behind
from engine.control.children.preparations import Preparations
from engine.control.commands.orders import Orders
from engine.control.commands.queue import pending_commands, reply
from engine.control.hosts.config import LOCAL, host_of, hosts_of
from engine.control.hosts.fleet import Fleet
from engine.control.launchers.base import Launcher
from engine.control.scheduling.dispatch import PAUSE_AFTER_FAULT_S, Dispatch
from engine.control.scheduling.run_times import Pace
from engine.control.store import Store
from engine.errors import KituiError, StateError
from engine.records import forecast
from engine.records.bundle import SweepBundle, read_bundle
from engine.records.results import read_result, summary_of
from engine.records.workspace import Workspace
from engine.spec.runspec import RunSpec

TICK_S = 0.2
IDLE_LIMIT_S = 5.0
ENDED = ("done", "diverged", "failed", "lost", "cancelled")


class Supervisor:
    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.store = Store(workspace)
        self.fleet = Fleet(workspace, self.store)
        self.bundles: dict[str, SweepBundle] = {}
        self.specs: dict[str, dict[str, RunSpec]] = {}
        self.preparations = Preparations(workspace)
        self.followers = Followers(workspace)
        self.paces: dict[str, Pace] = {}
        self._unlearned: set[str] = set()
        self.dispatch = Dispatch(self)
        self.orders = Orders(self)
        self._asked_to_end: set[tuple[str, int, int]] = set()
        self.stop_requested = False

    def run(self) -> None:
        """Work until there is nothing left to do, or a request to stop."""
        idle_since = time.monotonic()
        while not self.stop_requested:
            self.take_commands()
            self.fleet.look()
            self.notice_endings()
            self.prepare()
            self.dispatch.start_runs()
            self.follow()
            self.fleet.tidy()
            self.fleet.note()
            self.flush()
            if self.has_work():
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > IDLE_LIMIT_S and not pending_commands(self.workspace):
                break
            time.sleep(TICK_S)
        self.fleet.close()
        self.followers.close()
        self.preparations.close()
        self.store.close()

    def flush(self) -> None:
        """Keep the state. With a full disk it stays in memory, and the old file as it was, until there is room."""
        try:
            self.store.flush()
        except OSError as error:
            print(f"the state cannot be written: {error}", file=sys.stderr, flush=True)
            self.dispatch.not_before_s = time.monotonic() + PAUSE_AFTER_FAULT_S

    def has_work(self) -> bool:
        running = any(run["state"] == "running" for run in self.store.runs.values())
        active = any(sweep["active"] for sweep in self.store.sweeps.values())
        return running or active or self.fleet.is_tidying()

    # Commands

    def take_commands(self) -> None:
        for path, command in pending_commands(self.workspace):
            try:
                answer = {"ok": True} | self.orders.obey(command)
            except KituiError as error:
                answer = {"ok": False} | error.to_json()
            except Exception:
                traceback.print_exc()
                answer = {"ok": False} | KituiError(
                    "the supervisor could not do this.", where=str(self.workspace.supervisor_log)
                ).to_json()
            try:
                self.store.flush()
            except OSError as error:
                answer = {"ok": False} | StateError(
                    f"the state cannot be written: {error.strerror}.", where=str(self.workspace.state)
                ).to_json()
            try:
                reply(path, answer)
            except OSError as error:
                print(f"no answer could be left: {error}", file=sys.stderr, flush=True)

    def take_in(self, name: str, bundle: SweepBundle) -> None:
        """A sweep was launched, or launched again in a new form."""
        self.bundles[name] = bundle
        self.specs.pop(name, None)
        self.paces.pop(name, None)
        self.stop_preparing(name)  # its earlier form

    def stop_preparing(self, name: str) -> None:
        self.preparations.drop(name)
        self.fleet.drop(name)

    def forget(self, name: str) -> None:
        """A sweep is deleted: nothing goes on for it."""
        self.stop_preparing(name)
        self.followers.drop(name)
        self.bundles.pop(name, None)
        self.specs.pop(name, None)
        self.paces.pop(name, None)

    # Preparing

    def prepare(self) -> None:
        """Make token files for sweeps that lack them, beside everything else."""
        for name, sweep in self.store.sweeps.items():
            if not sweep["active"]:
                continue
            try:
                if self.fleet.waits_for_this_machine(sweep):
                    self.preparations.keep(name)
                if hosts_of(sweep) != (LOCAL,):
                    self.fleet.prepare(name, sweep, self._bundle(name))
            except (KituiError, OSError) as error:
                self.store.put("sweeps", name, prepared=False, prepare_error=str(error), active=False)
        for name, fault in self.preparations.ended():
            self.fleet.prepared_here(name, fault)

    # Runs

    def notice_endings(self) -> None:
        for run_id, run in self.store.runs.items():
            if run["state"] != "running":
                continue
            folder = self.workspace.run(run_id)
            launcher = self.fleet.launcher(host_of(run))
            if launcher is None:  # its host is no longer known: how it stands there nobody can say
                if run.get("ending") and self.fleet.is_gone(host_of(run)):
                    self.put_end(run_id, run["ending"], f"{host_of(run)} is not in hosts.toml any more")
                continue
            try:
                standing = launcher.standing(folder, run["attempt"])
                if standing.state == "ended":
                    assert standing.exit is not None
                    self._end(run_id, run, standing.exit)
                    continue
                if standing.state in ("lost", "taken"):
                    reason = standing.reason or "its guard is gone and left no word"
                    if run.get("trained_on") == host_of(run):
                        self._book_use(run_id, run, time.time() - run["started_s"])
                    self._fail(run_id, run, "lost", reason, counts=standing.state == "lost")
                    continue
                self._stop_where_wanted(run_id, run, launcher, standing.state)
                if standing.state == "running" and run.get("trained_on") != host_of(run):
                    self.store.put("runs", run_id, trained_on=host_of(run))
                if standing.state == "running" and run.get("waiting"):  # its time in the queue was none of its own
                    self.store.put("runs", run_id, started_s=time.time())
                waiting = (standing.reason or "in the queue") if standing.state == "waiting" else ""
                if waiting != run.get("waiting", ""):
                    self.store.put("runs", run_id, waiting=waiting)
            except (KituiError, OSError) as error:  # what it left behind cannot be read
                self.put_end(run_id, "failed", str(error))

    def _stop_where_wanted(self, run_id: str, run: dict[str, Any], launcher: Launcher, state: str) -> None:
        """Ask a run to end that is to; once for each launcher that has to do with it: a new one knows of nothing."""
        there = state in ("running", "waiting") or (state == "starting" and host_of(run) != LOCAL)
        asked = (run_id, run["attempt"], id(launcher))
        if there and (run.get("ending") or run.get("requeue")) and asked not in self._asked_to_end:
            launcher.stop(self.workspace.run(run_id))
            self._asked_to_end.add(asked)
            self.store.put("runs", run_id, stop_sent=True)

    def _end(self, run_id: str, run: dict[str, Any], ending: dict[str, Any]) -> None:
        """Book an ended attempt by what the guard and the run itself left behind."""
        self._book_use(run_id, run, (ending["ended_s"] - ending["started_s"]) if ending["started_s"] else 0.0)
        result = read_result(self.workspace.run(run_id).result(run["evaluation_id"]))
        if ending["returncode"] == 0 and result is not None:
            self.put_end(run_id, result.status, "", results=run["results"] | {run["evaluation_id"]: summary_of(result)})
            self.fleet.book(host_of(run), run_id, "")
        elif run.get("requeue"):
            self.put_end(run_id, "queued", "")
        elif run.get("ending"):
            self.put_end(run_id, run["ending"], "" if run["ending"] == "paused" else "cancelled")
        elif ending.get("warned") and ending["returncode"] == 75:
            self.put_end(run_id, "queued", "its job was at its time limit: it goes on from its checkpoint")
        elif ending["signal"] or ending["returncode"] == 75:
            words = f"ended by {ending['signal'] or 'a request to stop'} {ending['reason']}".strip()
            # With a checkpoint written it got further than before: however often that happens, it comes to its end.
            self._fail(run_id, run, "failed", words, counts=ending["returncode"] != 75)
        else:
            # The same inputs would fail again in the same way: that is for a person to look at.
            words = ending["reason"] or f"exit code {ending['returncode']}"
            self.put_end(run_id, "failed", words)
            if ending["returncode"] != 2:  # a fault in the run's inputs is none of the host's
                self.fleet.book(host_of(run), run_id, words)

    def _fail(self, run_id: str, run: dict[str, Any], state: str, reason: str, *, counts: bool = True) -> None:
        """An ending from outside: the run is started again from its checkpoint, a few times where it `counts`."""
        failures = run["failures"] + 1
        limit = max((s["max_attempts"] for s in self.store.sweeps.values() if run_id in s["run_ids"]), default=1)
        if run.get("requeue"):
            self.put_end(run_id, "queued", "")
        elif run.get("ending"):
            self.put_end(run_id, run["ending"], "" if run["ending"] == "paused" else "cancelled")
        elif not counts:
            self.put_end(run_id, "queued", reason)
        else:
            again = failures < limit
            words = reason if again else f"{reason} ({failures} times)"
            self.put_end(run_id, "queued" if again else state, words, failures=failures)
            self.fleet.book(host_of(run), run_id, reason)

    def _book_use(self, run_id: str, run: dict[str, Any], seconds: float) -> None:
        """Add what an attempt has taken of its host's slots, in seconds of one."""
        used_s, host = dict(run.get("used_s", {})), host_of(run)
        used_s[host] = used_s.get(host, 0.0) + seconds * run.get("num_processes", 1)
        self.store.put("runs", run_id, used_s=used_s)

    def put_end(self, run_id: str, state: str, reason: str, **fields: Any) -> None:
        ended = {
            "slot": None,
            "ended_s": time.time(),
            "ending": None,
            "requeue": False,
            "stop_sent": False,
            "waiting": "",
        }
        self.store.put("runs", run_id, state=state, reason=reason, **ended, **fields)
        if fields.get("results"):
            self._unlearned |= {name for name, pace in self.paces.items() if pace.has(run_id)}
        self._forecast(run_id)

    def pace(self, name: str) -> Pace:
        """How long a sweep's runs take."""
        if name not in self.paces:
            self.paces[name] = Pace(self._bundle(name).plan)
            self._unlearned.add(name)
        if name in self._unlearned:
            self._unlearned.discard(name)
            self.paces[name].learn(self.store.runs)
        return self.paces[name]

    def drop_unreadable(self) -> None:
        """Leave sweeps whose folders are gone, or cannot be read: others go on."""
        for name, sweep in self.store.sweeps.items():
            if sweep["active"]:
                try:
                    self.pace(name)
                except (KituiError, OSError) as error:
                    self.store.put("sweeps", name, active=False, ended_s=time.time(), analysis_error=str(error))

    def seconds(self, run_id: str, host: str) -> float:
        """How long a run of an active sweep should take on a host."""
        paces = (self.pace(name) for name, sweep in self.store.sweeps.items() if sweep["active"])
        return next((pace.seconds(run_id, host) for pace in paces if pace.has(run_id)), 0.0)

    def spec(self, name: str, run_id: str) -> RunSpec:
        if name not in self.specs:
            self.specs[name] = {run.run_id: run for run in self._bundle(name).runs}
        return self.specs[name][run_id]

    def _bundle(self, name: str) -> SweepBundle:
        if name not in self.bundles:
            bundle = read_bundle(self.workspace.sweep(name).bundle)
            if bundle is None:
                raise StateError("the sweep's bundle is gone.", where=str(self.workspace.sweep(name).root))
            self.bundles[name] = bundle
        return self.bundles[name]

    def has_result(self, run_id: str, evaluation_id: str) -> bool:
        run = self.store.runs.get(run_id)
        if run is not None and evaluation_id in run["results"]:
            return True
        if run is not None and run["state"] == "running":
            return False
        # A result that is there without the state knowing it: trained before the state was lost, or copied in.
        result = read_result(self.workspace.run(run_id).result(evaluation_id))
        if result is None:
            return False
        results = (run["results"] if run else {}) | {evaluation_id: summary_of(result)}
        attempt = run["attempt"] if run else result.attempt
        known = {"attempt": attempt, "failures": 0, "reason": "", "results": results}
        self.store.put("runs", run_id, state=result.status, **known)
        return True

    # Analysis

    def follow(self) -> None:
        """Keep one analysis for each active sweep; a sweep whose runs have ended and whose law is written is over."""
        for name, sweep in self.store.sweeps.items():
            if not (sweep["active"] and sweep["prepared"]):
                self.followers.drop(name)
                continue
            try:
                self.followers.keep(name)
                fault = self.followers.fault(name)
                if fault != sweep["analysis_error"]:
                    self.store.put("sweeps", name, analysis_error=fault)
                over = all(
                    self._is_over(r, sweep["evaluation_id"]) or self.store.runs[r]["state"] == "paused"
                    for r in sweep["run_ids"]
                )
                if over and (fault or not law_is_behind(self._bundle(name).plan, self.workspace)):
                    self.store.put("sweeps", name, active=False, ended_s=time.time())
            except (KituiError, OSError) as error:  # its folder is gone or cannot be read: other sweeps go on
                self.store.put("sweeps", name, active=False, ended_s=time.time(), analysis_error=str(error))

    def _is_over(self, run_id: str, evaluation_id: str) -> bool:
        run = self.store.runs[run_id]
        return run["state"] in ENDED and (
            run["state"] not in ("done", "diverged") or self.has_result(run_id, evaluation_id)
        )

    def _forecast(self, run_id: str) -> None:
        """Put down when the sweeps of this run should be over, by the speed of what has ended."""
        for name, sweep in self.store.sweeps.items():
            if sweep["active"] and sweep["prepared"] and run_id in sweep["run_ids"] and name in self.bundles:
                plan = self.bundles[name].plan
                rates = forecast.rates_of_runs(plan, self.store.runs)
                left = [c for c in plan.cells if not self._is_over(c.run_id, sweep["evaluation_id"])]
                cost = forecast.cost(left, rates, forecast.flops_rate(plan, rates))
                num_slots = self.fleet.num_slots(sweep)
                now, spread = time.time(), forecast.spread_of_runs(plan, self.store.runs)
                eta = None if cost is None else now + forecast.eta_s(cost, num_slots)
                between = None
                if cost is not None and spread is not None:
                    between = [now + s for s in forecast.eta_interval_s(cost, num_slots, spread)]
                self.store.put("sweeps", name, eta_at_s=eta, eta_between_s=between)


def main() -> int:
    workspace = Workspace(Path(sys.argv[1]))
    try:
        supervisor = Supervisor(workspace)
    except StateError as error:
        print(f"{time.strftime('%F %T')} {error}", file=sys.stderr, flush=True)
        return error.exit_code

    def request_stop(*_: object) -> None:
        supervisor.stop_requested = True

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
