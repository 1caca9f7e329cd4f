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

from engine.control.children.analyses import Analyses
from engine.control.commands.obey import obey
from engine.control.commands.parts import Parts
from engine.control.commands.queue import pending_commands, reply
from engine.control.hosts.fleet import Fleet
from engine.control.hosts.preparing import Preparing
from engine.control.launchers.base import Launcher
from engine.control.ledger import transitions
from engine.control.ledger.bundles import Bundles
from engine.control.ledger.ledger import Ledger
from engine.control.ledger.results import Results
from engine.control.leftovers import remove_half_written
from engine.control.log import keep_bounded, say
from engine.control.room import shortage
from engine.control.scheduling.dispatch import PAUSE_AFTER_FAULT_S, Dispatch
from engine.errors import NO_ROOM, DamageError, KituiError, StateError, is_no_room
from engine.records import forecast
from engine.records.commands import Answer, Command, Refused
from engine.records.digests import is_law_behind
from engine.records.metrics import wrote_checkpoint
from engine.records.processes import last_lines
from engine.records.results import read_result
from engine.records.states import RunState, RunStatus, SweepState
from engine.records.workspace import RunFolder, Workspace, size_of

TICK_S = 0.2
IDLE_LIMIT_S = 5.0


class Supervisor:
    """The one process that carries a workspace's sweeps on."""

    def __init__(self, workspace: Workspace) -> None:
        ledger = Ledger(workspace)
        self.workspace, self.ledger = workspace, ledger
        self.bundles = Bundles(workspace, ledger.runs)
        self.results = Results(workspace, ledger)
        self.fleet = Fleet(workspace, ledger)
        self.preparing = Preparing(workspace, ledger, self.bundles, self.fleet)
        self.analyses = Analyses(workspace)
        self.dispatch = Dispatch(workspace, ledger, self.bundles, self.results, self.fleet, self.preparing)
        self.parts = Parts(workspace, ledger, self.bundles, self.results, self.fleet, self.preparing, self.analyses)
        self._asked_to_end: set[tuple[str, int, int]] = set()
        self._shortage: str | None = None
        self._over: set[str] = set()
        self.stop_requested = False

    def run(self) -> None:
        """Work until there is nothing left to do, or a request to stop."""
        idle_since = time.monotonic()
        while not self.stop_requested:
            self.take_commands()
            self.fleet.look()
            self.notice_endings()
            if self.has_room():
                self.leave_unreadable_sweeps()
                self.preparing.keep_all()
                self.dispatch.start_runs()
                self.keep_analyses()
            self.take_in_endings()
            self.fleet.tidy()
            self.fleet.note()
            self.flush()
            keep_bounded(self.workspace.supervisor_log)
            if self.has_work():
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > IDLE_LIMIT_S and not pending_commands(self.workspace):
                break
            time.sleep(TICK_S)
        self.fleet.close()
        self.analyses.close()
        self._tidy()
        self.ledger.close()

    def has_room(self) -> bool:
        """Whether the disk has room for what would be started; it is said when that changes."""
        words = shortage(self.workspace)
        if (words is None) != (self._shortage is None):
            say(words or "there is room again: starting goes on")
        self._shortage = words
        return words is None

    def flush(self) -> None:
        """Keep the state. With a full disk it stays in memory, and the old file as it was, until there is room."""
        try:
            self.ledger.flush()
        except OSError as error:
            say(f"the state cannot be written: {error}")
            self.dispatch.not_before_s = time.monotonic() + PAUSE_AFTER_FAULT_S

    def has_work(self) -> bool:
        running = any(run.is_running for run in self.ledger.runs.values())
        active = any(sweep.active for sweep in self.ledger.sweeps.values())
        return running or active or self.fleet.is_tidying()

    # Commands

    def take_commands(self) -> None:
        for path, command in pending_commands(self.workspace):
            answer = self._obey(command)
            try:
                self.ledger.flush()
            except OSError as error:
                words = f"the state cannot be written: {error.strerror}."
                answer = Refused(error=StateError(words, where=str(self.workspace.state)).to_json())
            try:
                reply(path, answer)
            except OSError as error:
                say(f"no answer could be left: {error}")

    def _obey(self, command: Command) -> Answer:
        try:
            return obey(self.parts, command)
        except KituiError as error:
            return Refused(error=error.to_json())
        except Exception:
            say(traceback.format_exc())
            where = str(self.workspace.supervisor_log)
            return Refused(error=KituiError("the supervisor could not do this.", where=where).to_json())

    # Runs

    def notice_endings(self) -> None:
        """See how all running runs stand."""
        for run_id, run in self.ledger.runs.items():
            if not run.is_running:
                continue
            launcher = self.fleet.launcher(run.host)
            if launcher is None:  # its host is no longer known: how it stands there nobody can say
                if run.ending and self.fleet.is_gone(run.host):
                    words = f"{run.host} is not in hosts.toml any more"
                    transitions.end(self.ledger, run_id, RunStatus(run.ending), words)
                continue
            try:
                self._notice(run_id, run, launcher)
            except (KituiError, OSError) as error:  # what it left behind cannot be read
                if is_no_room(error):
                    continue  # looked at again, when there is room
                transitions.end(self.ledger, run_id, RunStatus.FAILED, str(error))

    def _notice(self, run_id: str, run: RunState, launcher: Launcher) -> None:
        folder = self.workspace.run(run_id)
        standing = launcher.standing(folder, run.attempt)
        if standing.stage == "ended":
            assert standing.exit is not None
            transitions.book_use(self.ledger, run_id, standing.exit.elapsed_s)
            self.ledger.change_run(run_id).kept_bytes = size_of(folder.root)
            try:
                # Of an attempt that ended otherwise, a result is an earlier one's, whole or not.
                written = standing.exit.returncode == 0
                result = read_result(folder.result(run.evaluation_id)) if written else None
            except DamageError as error:
                transitions.ended_from_outside(self.ledger, run_id, RunStatus.FAILED, str(error), self.fleet.book)
                return
            left = _left_by(folder, run.attempt) if standing.exit.returncode != 0 else transitions.Left()
            transitions.attempt_ended(self.ledger, run_id, standing.exit, result, self.fleet.book, left)
            if standing.exit.returncode == NO_ROOM:
                self.dispatch.not_before_s = time.monotonic() + PAUSE_AFTER_FAULT_S
            return
        if standing.stage in ("lost", "taken"):
            self.ledger.change_run(run_id).kept_bytes = size_of(folder.root)
            if run.trained_on == run.host and run.started_s is not None:
                transitions.book_use(self.ledger, run_id, max(0.0, time.time() - run.started_s))
            reason = standing.reason or "its guard is gone and left no word"
            transitions.ended_from_outside(
                self.ledger,
                run_id,
                RunStatus.LOST,
                reason,
                self.fleet.book,
                counts=standing.stage == "lost",
                left=_left_by(folder, run.attempt),
            )
            return
        self._stop_where_wanted(run_id, run, launcher)
        if standing.stage == "running" and (run.trained_on != run.host or run.waiting):
            transitions.began(self.ledger, run_id)
        elif standing.stage == "waiting" and (standing.reason or "in the queue") != run.waiting:
            self.ledger.change_run(run_id).waiting = standing.reason or "in the queue"

    def _stop_where_wanted(self, run_id: str, run: RunState, launcher: Launcher) -> None:
        """Ask a run to end that is to; once for each launcher that has to do with it: a new one knows of nothing."""
        asked = (run_id, run.attempt, id(launcher))
        is_wanted = (run.ending or run.requeue) and asked not in self._asked_to_end
        if is_wanted and launcher.stop(self.workspace.run(run_id)):
            self._asked_to_end.add(asked)
            self.ledger.change_run(run_id).stop_sent = True

    def take_in_endings(self) -> None:
        """What has ended changes how long other runs should take, and when their sweeps should be over."""
        ended = set(self.ledger.newly_ended)
        self.ledger.newly_ended.clear()
        for run_id in ended:
            self.bundles.learn_of(run_id)
        for name, sweep in self.ledger.sweeps.items():
            if ended and sweep.active and sweep.prepared and not ended.isdisjoint(sweep.run_ids):
                try:
                    self._forecast(name, sweep)
                except (KituiError, OSError):  # its folder is gone: said where its runs are to be started
                    continue

    def _forecast(self, name: str, sweep: SweepState) -> None:
        """Put down when a sweep should be over, by the speed of what has ended."""
        plan, runs = self.bundles.plan(name), self.ledger.runs
        rates = forecast.rates_of_runs(plan, runs)
        left = [c for c in plan.cells if not self.results.is_over(c.run_id, sweep.evaluation_id)]
        cost = forecast.cost(left, rates, forecast.flops_rate(plan, rates))
        num_slots, spread = self.fleet.num_slots(sweep), forecast.spread_of_runs(plan, runs)
        now_s = time.time()
        changed = self.ledger.change_sweep(name)
        changed.eta_at_s = None if cost is None else now_s + forecast.eta_s(cost, num_slots)
        changed.eta_between_s = None
        if cost is not None and spread is not None:
            low_s, high_s = forecast.eta_interval_s(cost, num_slots, spread)
            changed.eta_between_s = (now_s + low_s, now_s + high_s)

    # Sweeps

    def leave_unreadable_sweeps(self) -> None:
        """Sweeps whose folders are gone, or cannot be read, are left: others go on."""
        for name, sweep in self.ledger.sweeps.items():
            if sweep.active:
                try:
                    self.bundles.run_times(name)
                except (KituiError, OSError) as error:
                    if not is_no_room(error):
                        self._leave(name, str(error))

    def keep_analyses(self) -> None:
        """Keep one analysis for each active sweep; a sweep whose runs have ended and whose law is written is over."""
        for name, sweep in self.ledger.sweeps.items():
            if not (sweep.active and sweep.prepared):
                self.analyses.drop(name)
                continue
            try:
                self.analyses.keep(name)
                fault = self.analyses.fault(name)
                if fault != sweep.analysis_error:
                    self.ledger.change_sweep(name).analysis_error = fault
                is_over = self._has_ended(sweep) and (
                    fault or not is_law_behind(self.bundles.plan(name), self.workspace)
                )
                if is_over and not self._queue_damaged(sweep):
                    self._leave(name, fault)
            except (KituiError, OSError) as error:  # its folder is gone or cannot be read: other sweeps go on
                if not is_no_room(error):
                    self._leave(name, str(error))

    def _has_ended(self, sweep: SweepState) -> bool:
        return all(
            self.results.is_over(run_id, sweep.evaluation_id) or self.ledger.runs[run_id].status is RunStatus.PAUSED
            for run_id in sweep.run_ids
        )

    def _queue_damaged(self, sweep: SweepState) -> int:
        """Queue the runs again whose results are not what was written, a few times; how many there are."""
        queued = 0
        for run_id in sweep.run_ids:
            fault = self.results.fault(run_id, sweep.evaluation_id)
            if fault is not None:
                transitions.lose_result(self.ledger, run_id, sweep.evaluation_id)
                transitions.ended_from_outside(self.ledger, run_id, RunStatus.LOST, fault, self.fleet.book)
                queued += 1
        return queued

    def _leave(self, name: str, fault: str | None) -> None:
        sweep = self.ledger.change_sweep(name)
        sweep.active, sweep.ended_s, sweep.analysis_error = False, time.time(), fault
        self._over.add(name)

    def _tidy(self) -> None:
        """Remove what died processes have left of the sweeps that are over."""
        for name in self._over:
            sweep = self.ledger.sweeps.get(name)
            if sweep is not None and not sweep.active:
                remove_half_written(self.workspace, name, sweep.run_ids)


def _left_by(folder: RunFolder, attempt: int) -> transitions.Left:
    return transitions.Left(wrote_checkpoint(folder.metrics, attempt), " / ".join(last_lines(folder.log)))


def main() -> int:
    workspace = Workspace(Path(sys.argv[1]))
    try:
        supervisor = Supervisor(workspace)
    except StateError as error:
        say(str(error))
        return error.exit_code

    def request_stop(*_: object) -> None:
        supervisor.stop_requested = True

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
