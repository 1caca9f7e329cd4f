"""Runs on another machine or a cluster, by its agent. A thread of its own talks with the host; what it learns lies in
the run folders here, byte for byte as it lies there: everything else reads a run the same way wherever it is trained.

A line that is cut says nothing of the runs: they go on, and are caught up with when it is back.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

import orjson

from engine.control.launchers import mirror
from engine.control.launchers.base import Contact, Prepared, Standing, training_argv
from engine.control.launchers.job import Job, beside, checked_exit, checked_stage, last_words, not_begun
from engine.control.launchers.kinds import HostKind
from engine.control.slots import CPU_ENV, Slot
from engine.control.transport.base import (
    Acknowledged,
    Hello,
    JobReport,
    PollAnswer,
    StartAnswer,
    Transport,
    UnreachableError,
)
from engine.control.transport.inputs import Input, inputs_of, relocated_bundle, relocated_run
from engine.control.transport.packing import packed, unpacked
from engine.errors import KituiError, LaunchError
from engine.records.hosts import Host
from engine.records.processes import ExitRecord, LaunchRecord
from engine.records.record import encoded, plain, read_record
from engine.records.workspace import RunFolder, Workspace, write_atomically, write_json

if TYPE_CHECKING:  # pydantic with it, which those who only look do not need
    from engine.records.bundle import SweepBundle

POLL_S = 1.0
OLDEST_PYTHON = (3, 11)
_STOP_AGAIN_S = 5.0
_WITHDRAW_S = 15.0
_AGAIN_S = (1.0, 2.0, 5.0)
"""Waits before a host that did not answer is asked again; the last one for ever."""
_BATCH_BYTES = 8 * 2**20
_RESULTS = ("result-*.json",)
PREPARING_MODULE = "engine.corpus.prepare"


class RemoteLauncher:
    def __init__(self, workspace: Workspace, host: Host, kind: HostKind, transport: Transport) -> None:
        self._workspace, self._kind, self._transport, self.host = workspace, kind, transport, host
        self._jobs: dict[str, Job] = {}
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._there: Hello | None = None
        self._put: set[str] = set()
        self._have: set[Input] = set()
        self._sending: threading.Thread | None = None
        self._send_fault: KituiError | None = None
        self._to_discard: tuple[str, ...] = ()
        self._discarded: set[str] = set()
        self._closed = False
        self._contact = Contact()
        self._thread = threading.Thread(target=self._talk, name=f"host {host.name}", daemon=True)
        self._thread.start()

    # What the supervisor asks for; nothing here waits

    @property
    def contact(self) -> Contact:
        return self._contact

    def slots(self, wanted: int | None) -> list[Slot]:
        return [] if self._contact.fault or self._contact.unreachable_since_s else list(self._contact.slots)

    def start(self, folder: RunFolder, slot: Slot, attempt: int) -> None:
        from engine.records.bundle import read_section
        from engine.spec.runspec import RunSpec

        run = f"runs/{folder.root.name}"
        launch = LaunchRecord(
            attempt=attempt, id=secrets.token_hex(8), argv=tuple(training_argv(run, slot, attempt)), env=slot.env
        )
        job = Job(attempt, folder.root, _RESULTS, launch, slot.num_processes)
        spec = read_section(RunSpec, folder.spec)
        job.content = lambda workspace: {
            "spec.json": orjson.dumps(relocated_run(spec, workspace).model_dump(mode="json"))
        }
        job.facts = self._workspace.facts(spec.facts_id)
        mirror.begin(folder.root, self.host.name)
        with self._lock:
            self._jobs[run] = job
        self._wake.set()

    def standing(self, folder: RunFolder, attempt: int) -> Standing:
        name = f"runs/{folder.root.name}"
        with self._lock:
            job = self._jobs.get(name)
            known = job is not None and job.attempt == attempt
            if not known:  # of an earlier supervisor
                job = self._jobs[name] = Job(attempt, folder.root, _RESULTS, None)
                job.tried = True
            assert job is not None
        if known and self._withdrawn(job):
            with self._lock:
                self._jobs.pop(name, None)
            return Standing("taken", reason=f"{self.host.name}: {self._contact.fault}")
        if known and not job.is_over:
            return Standing(job.stage, reason=job.reason)
        ended = read_record(ExitRecord, folder.exit)
        if ended is None or ended.attempt != attempt:
            return Standing("starting" if job.stage == "ended" else job.stage, reason=job.reason)
        with self._lock:
            self._jobs.pop(name, None)
        return Standing("ended", ended)

    def _withdrawn(self, job: Job) -> bool:
        """Whether a run is not to be started here any more: the host has refused, or not been there, for a while, and
        it has certainly not begun."""
        with self._lock:
            refused = bool(self._contact.fault) and time.monotonic() - job.asked_s > _WITHDRAW_S
            job.withdrawn = job.withdrawn or (refused and not job.tried and job.launch is not None)
            return job.withdrawn

    def stop(self, folder: RunFolder) -> bool:
        with self._lock:
            job = self._jobs.get(f"runs/{folder.root.name}")
            if job is not None:
                job.stop = True
        self._wake.set()
        return job is not None

    def prepare(self, bundle: SweepBundle, attempt: int) -> None:
        name = f"sweeps/{bundle.plan.sweep}"
        with self._lock:
            known = self._jobs.get(name)
            if known is not None and known.attempt == attempt and not known.dropped:
                return
            argv = ("-m", PREPARING_MODULE, "make", name)
            launch = LaunchRecord(attempt=attempt, id=str(attempt), argv=argv, env=CPU_ENV)
            folder = self._workspace.sweep(bundle.plan.sweep).root / f"on-{self.host.name}"
            folder.mkdir(mode=0o700, exist_ok=True)
            job = self._jobs[name] = Job(attempt, folder, ("plan.json",), launch)
            (folder / "log.txt").unlink(missing_ok=True)
            job.content = lambda workspace: {"bundle.json": encoded(relocated_bundle(bundle, workspace))}
            job.inputs = inputs_of(bundle)
        self._wake.set()

    def prepared(self, sweep: str) -> Prepared:
        with self._lock:
            job = self._jobs.get(f"sweeps/{sweep}")
        if job is None or job.dropped or not job.is_over:
            return Prepared()
        if job.stage == "lost":
            return Prepared(fault="the preparation is gone and left no word")
        ending = read_record(ExitRecord, job.folder / "exit.json")
        if ending is not None and ending.returncode == 0:
            plan = job.folder / "plan.json"
            return Prepared(True, "", plan) if plan.exists() else Prepared(fault="the preparation left no plan")
        reason = ending.reason if ending is not None else ""
        return Prepared(fault=last_words(job.folder / "log.txt") or reason or "no reason given")

    def drop(self, sweep: str) -> None:
        with self._lock:
            job = self._jobs.get(f"sweeps/{sweep}")
            if job is not None:
                job.stop = job.dropped = True

    def discard(self, names: list[str]) -> bool:
        done = set(names) <= self._discarded
        if not done:
            self._to_discard = tuple(names)
            self._wake.set()
        return done

    def forget_discarded(self) -> None:
        self._discarded.clear()

    def close(self) -> None:
        with self._lock:  # from here on nothing more is written
            self._closed = True
        self._wake.set()
        self._thread.join(timeout=5)
        self._transport.close()

    # The thread

    def _talk(self) -> None:
        failures = 0
        while not self._closed:
            try:
                self._round()
                failures = 0
                self._contact = self._contact._replace(is_met=True, unreachable_since_s=None, fault="")
                self._pause(POLL_S)
                continue
            except UnreachableError as error:
                since_s = self._contact.unreachable_since_s or time.time()
                self._contact = self._contact._replace(is_met=True, unreachable_since_s=since_s, fault=str(error))
            except Exception as error:  # whatever a host answers, it is asked again
                words = str(error) if isinstance(error, (KituiError, OSError)) else f"not understood: {error!r}"
                self._contact = self._contact._replace(is_met=True, unreachable_since_s=None, fault=words)
            self._pause(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)])
            failures += 1

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _round(self) -> None:
        """Everything that is to be done and known, in a few requests."""
        if self._there is None:
            there = self._transport.ask("hello", Hello, tokens=self.host.tokens)
            if there.python[:2] < OLDEST_PYTHON:
                raise LaunchError(
                    f"its Python is {'.'.join(map(str, there.python))}.",
                    where=self.host.name,
                    mend="Python 3.11 or newer: set `python` or `setup` of this host in hosts.toml.",
                )
            self._there = there
            self._contact = self._contact._replace(slots=tuple(self._kind.slots(self.host, there)))
        if self._to_discard:
            names, self._to_discard = self._to_discard, ()
            self._transport.ask("remove", Acknowledged, names=names)
            self._discarded.update(names)
        with self._lock:
            jobs = dict(self._jobs)
        self._stop(jobs)
        watched = {n: j for n, j in jobs.items() if j.tried and not j.is_over}
        if watched:
            self._poll(watched)
        new = {n: j for n, j in jobs.items() if j.launch is not None and not j.stop and not j.is_over}
        if new:  # last: a host that starts nothing more still says how things stand there
            self._start(new)
        with self._lock:
            for name, job in jobs.items():
                if job.dropped and job.is_over and self._jobs.get(name) is job:
                    del self._jobs[name]

    def _stop(self, jobs: dict[str, Job]) -> None:
        """Ask what is to end, again and again until it has: a guard that is just coming up would not have heard."""
        for job in jobs.values():
            if job.stop and not job.tried and not job.is_over:
                self._end(job, not_begun(job.attempt))
        now = time.monotonic()
        due = {n: j for n, j in jobs.items() if j.stop and not j.is_over and now >= j.stop_again_s}
        if due:
            self._transport.ask("stop", Acknowledged, attempts={name: job.attempt for name, job in due.items()})
            for job in due.values():
                job.stop_again_s = now + _STOP_AGAIN_S

    def _start(self, jobs: dict[str, Job]) -> None:
        assert self._there is not None
        for path in {job.facts for job in jobs.values() if job.facts is not None}:
            name = f"facts/{path.name}"
            if name not in self._put:
                self._transport.ask("put", Acknowledged, files={name: packed(path.read_bytes())})
                self._put.add(name)
        workspace = self._there.workspace
        code = self._transport.code(workspace)
        jobs = {name: job for name, job in jobs.items() if self._sent(job.inputs)}
        for group in self._kind.groups(self.host, jobs):
            with self._lock:
                asked = {name: jobs[name] for name in group.names if not jobs[name].withdrawn}
                for job in asked.values():
                    job.tried = True
            if not asked:
                continue
            requests = {name: _request(job, workspace, code) for name, job in asked.items()}
            try:
                answer = self._transport.ask("start", StartAnswer, jobs=requests, slurm=group.slurm)
            except UnreachableError:
                raise
            except LaunchError:  # an answer: nothing was started
                for job in asked.values():
                    job.tried = False
                raise
            for name, job in asked.items():
                if answer.jobs[name] == "busy":  # what was there before is being ended
                    job.tried = False
                else:
                    job.launch = None

    def _sent(self, inputs: list[Input]) -> bool:
        """Whether these are there. What is not is sent, beside everything else: it may take hours. Raises what went
        wrong with the last try, and tries again the next time."""
        sending = self._sending
        if sending is not None and not sending.is_alive():
            self._sending, fault, self._send_fault = None, self._send_fault, None
            if fault is not None:
                raise fault
        missing = [one for one in inputs if one not in self._have]
        if missing and self._sending is None:
            self._sending = threading.Thread(target=self._send, args=(missing,), daemon=True)
            self._sending.start()
        return not missing

    def _send(self, inputs: list[Input]) -> None:
        try:
            for one in inputs:
                self._transport.send(one.source, f"{one.folder}/")
                self._have.add(one)
        except KituiError as error:
            self._send_fault = error
        self._wake.set()

    def _poll(self, jobs: dict[str, Job]) -> None:
        asked = {
            name: {"attempt": job.attempt, "offsets": job.offsets(), "files": job.files} for name, job in jobs.items()
        }
        answer = self._transport.ask("poll", PollAnswer, jobs=asked, limit_bytes=_BATCH_BYTES)
        for name, job in jobs.items():
            self._take(job, answer.jobs[name])

    def _take(self, job: Job, told: JobReport) -> None:
        """Put down what a host says of a job: first what was added to its files, its end last."""
        stage = checked_stage(told.standing)
        tails = {name: unpacked(told.tails[name]) for name in mirror.MIRRORED if name in told.tails}
        files = {beside(job.folder, name): unpacked(content) for name, content in told.files.items()}
        with self._lock:  # held by whoever closes this: another launcher may go on with these files then
            if self._closed:
                return
            mirror.append(job.folder, tails)
        for path, data in files.items():
            write_atomically(path, data)
        if stage == "ended":
            self._end(job, checked_exit(told.exit, job.attempt))
        elif stage == "absent":
            # Asked for and not there: the folder is gone. A request that was not answered is simply made again.
            job.stage, job.reason = ("lost" if job.launch is None else "starting"), told.reason
        else:
            job.stage, job.reason = stage, told.reason
            job.launch = None

    def _end(self, job: Job, ending: ExitRecord) -> None:
        write_json(job.folder / "exit.json", plain(ending))
        job.stage, job.reason = "ended", ""


def _request(job: Job, workspace: str, code: str) -> dict[str, object]:
    """What the agent is told to start a job with."""
    assert job.launch is not None
    env = job.launch.env | {"PYTHONPATH": code}
    return {
        "launch": plain(job.launch) | {"env": env, "cwd": workspace},
        "files": {file: packed(content) for file, content in job.content(workspace).items()},
    }
