"""Runs on another machine or a cluster, by its agent. A thread of its own talks with the host; what it learns lies in
the run folders here, byte for byte as it lies there: everything else reads a run the same way wherever it is trained.

A line that is cut says nothing of the runs: they go on, and are caught up with when it is back.
"""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from engine.control.hosts.config import CPU_ENV, Host, sbatch_options, slots_of
from engine.control.launchers import mirror
from engine.control.launchers.base import Slot, Standing, training_argv
from engine.control.launchers.job import NOT_BEGUN, Job, beside, checked, said
from engine.control.transport.inputs import Input, inputs_of, relocated_bundle, relocated_run
from engine.control.transport.ssh import UnreachableError
from engine.errors import KituiError, LaunchError
from engine.records.bundle import SweepBundle, read_section
from engine.records.record import plain
from engine.records.workspace import RunFolder, Workspace, read_json, write_atomically, write_json
from engine.spec.runspec import RunSpec

POLL_S = 1.0
OLDEST_PYTHON = (3, 11)
_STOP_AGAIN_S = 5.0
_WITHDRAW_S = 15.0
_AGAIN_S = (1.0, 2.0, 5.0)
"""Waits before a host that did not answer is asked again; the last one for ever."""
_BATCH_BYTES = 8 * 2**20
_OVER = ("ended", "lost", "taken")
_RESULTS = ("result-*.json",)
PREPARING_MODULE = "engine.corpus.prepare"


class Way(Protocol):
    """How requests reach a host's agent."""

    def ask(self, verb: str, **details: Any) -> dict[str, Any]: ...

    def send(self, source: Path, target: str) -> None: ...

    def code(self, workspace: str) -> str: ...

    def close(self) -> None: ...


class Contact(NamedTuple):
    """What is known of a host."""

    slots: tuple[Slot, ...] = ()
    unreachable_since_s: float | None = None
    fault: str = ""
    """Why nothing is started there."""


class RemoteLauncher:
    def __init__(self, workspace: Workspace, host: Host, way: Way) -> None:
        self._workspace, self._way, self.host = workspace, way, host
        self._jobs: dict[str, Job] = {}
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._there: dict[str, Any] | None = None
        self._put: set[str] = set()
        self._have: set[Input] = set()
        self._sending: threading.Thread | None = None
        self._send_fault: KituiError | None = None
        self._to_discard: tuple[str, ...] = ()
        self._discarded: set[str] = set()
        self._closed = False
        self.contact = Contact()
        self._thread = threading.Thread(target=self._talk, name=f"host {host.name}", daemon=True)
        self._thread.start()

    # What the supervisor asks for; nothing here waits

    def slots(self, wanted: int | None) -> list[Slot]:
        return [] if self.contact.fault or self.contact.unreachable_since_s else list(self.contact.slots)

    def start(self, folder: RunFolder, slot: Slot, attempt: int) -> None:
        run = f"runs/{folder.root.name}"
        launch = {
            "attempt": attempt,
            "id": secrets.token_hex(8),
            "argv": training_argv(run, slot, attempt),
            "env": slot.env,
        }
        job = Job(attempt, folder.root, _RESULTS, launch, slot.num_processes)
        spec = read_section(RunSpec, folder.spec)
        job.content = lambda workspace: {"spec.json": _json(relocated_run(spec, workspace).model_dump(mode="json"))}
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
            return Standing("taken", reason=f"{self.host.name}: {self.contact.fault}")
        if known and job.standing not in _OVER:
            return Standing(job.standing, reason=job.reason)
        ended = read_json(folder.exit)
        if ended is None or ended["attempt"] != attempt:
            return Standing("starting" if job.standing == "ended" else job.standing, reason=job.reason)
        with self._lock:
            self._jobs.pop(name, None)
        return Standing("ended", ended)

    def _withdrawn(self, job: Job) -> bool:
        """Whether a run is not to be started here any more: the host has refused, or not been there, for a while, and
        it has certainly not begun."""
        with self._lock:
            refused = bool(self.contact.fault) and time.monotonic() - job.asked_s > _WITHDRAW_S
            job.withdrawn = job.withdrawn or (refused and not job.tried and job.launch is not None)
            return job.withdrawn

    def stop(self, folder: RunFolder) -> None:
        with self._lock:
            job = self._jobs.get(f"runs/{folder.root.name}")
            if job is not None:
                job.stop = True
        self._wake.set()

    def prepare(self, bundle: SweepBundle, attempt: int) -> None:
        """Have the sweep's token files made there, unless that has been asked for."""
        name = f"sweeps/{bundle.plan.sweep}"
        with self._lock:
            known = self._jobs.get(name)
            if known is not None and known.attempt == attempt and not known.dropped:
                return
            launch = {
                "attempt": attempt,
                "id": str(attempt),
                "argv": ["-m", PREPARING_MODULE, "make", name],
                "env": CPU_ENV,
            }
            folder = self._workspace.sweep(bundle.plan.sweep).root / f"on-{self.host.name}"
            folder.mkdir(mode=0o700, exist_ok=True)
            job = self._jobs[name] = Job(attempt, folder, ("plan.json",), launch)
            (folder / "log.txt").unlink(missing_ok=True)
            job.content = lambda workspace: {"bundle.json": _json(plain(relocated_bundle(bundle, workspace)))}
            job.inputs = inputs_of(bundle)
        self._wake.set()

    def prepared(self, sweep: str) -> tuple[bool, str]:
        """Whether a sweep's token files are there, and what went wrong, if anything did."""
        with self._lock:
            job = self._jobs.get(f"sweeps/{sweep}")
        if job is None or job.dropped or job.standing not in _OVER:
            return False, ""
        if job.standing == "lost":
            return False, "the preparation is gone and left no word"
        ending = read_json(job.folder / "exit.json") or {}
        if ending.get("returncode") == 0:
            return True, ""
        return False, said(job.folder / "log.txt") or str(ending.get("reason") or "no reason given")

    def drop(self, sweep: str) -> None:
        """A sweep is no longer to be prepared: what is under way for it there is ended."""
        with self._lock:
            job = self._jobs.get(f"sweeps/{sweep}")
            if job is not None:
                job.stop = job.dropped = True

    def discard(self, names: list[str]) -> bool:
        """Have folders there removed. Whether these have been."""
        done = set(names) <= self._discarded
        if not done:
            self._to_discard = tuple(names)
            self._wake.set()
        return done

    def forget_discarded(self) -> None:
        """What was removed has been put down: of the same name there may be something again."""
        self._discarded.clear()

    def close(self) -> None:
        with self._lock:  # from here on nothing more is written
            self._closed = True
        self._wake.set()
        self._thread.join(timeout=5)
        self._way.close()

    # The thread

    def _talk(self) -> None:
        failures = 0
        while not self._closed:
            try:
                self._round()
                failures = 0
                self.contact = self.contact._replace(unreachable_since_s=None, fault="")
                self._pause(POLL_S)
                continue
            except UnreachableError as error:
                since_s = self.contact.unreachable_since_s or time.time()
                self.contact = self.contact._replace(unreachable_since_s=since_s, fault=str(error))
            except Exception as error:  # whatever a host answers, it is asked again
                words = str(error) if isinstance(error, (KituiError, OSError)) else f"not understood: {error!r}"
                self.contact = self.contact._replace(unreachable_since_s=None, fault=words)
            self._pause(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)])
            failures += 1

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _round(self) -> None:
        """Everything that is to be done and known, in a few requests."""
        if self._there is None:
            there = self._way.ask("hello", tokens=self.host.tokens)
            if tuple(there["python"][:2]) < OLDEST_PYTHON:
                raise LaunchError(
                    f"its Python is {'.'.join(map(str, there['python']))}.",
                    where=self.host.name,
                    mend="Python 3.11 or newer: set `python` or `setup` of this host in hosts.toml.",
                )
            self._there = there
            self.contact = self.contact._replace(slots=tuple(slots_of(self.host, self._there)))
        if self._to_discard:
            names, self._to_discard = self._to_discard, ()
            self._way.ask("remove", names=names)
            self._discarded.update(names)
        with self._lock:
            jobs = dict(self._jobs)
        self._stop(jobs)
        watched = {n: j for n, j in jobs.items() if j.tried and j.standing not in _OVER}
        if watched:
            self._poll(watched)
        new = {n: j for n, j in jobs.items() if j.launch is not None and not j.stop and j.standing not in _OVER}
        if new:  # last: a host that starts nothing more still says how things stand there
            self._start(new)
        with self._lock:
            for name, job in jobs.items():
                if job.dropped and job.standing in _OVER and self._jobs.get(name) is job:
                    del self._jobs[name]

    def _stop(self, jobs: dict[str, Job]) -> None:
        """Ask what is to end, again and again until it has: a guard that is just coming up would not have heard."""
        for job in jobs.values():
            if job.stop and not job.tried and job.standing not in _OVER:
                self._end(job, NOT_BEGUN | {"attempt": job.attempt, "ended_s": time.time()})
        now = time.monotonic()
        due = {n: j for n, j in jobs.items() if j.stop and j.standing not in _OVER and now >= j.stop_again_s}
        if due:
            self._way.ask("stop", attempts={name: job.attempt for name, job in due.items()})
            for job in due.values():
                job.stop_again_s = now + _STOP_AGAIN_S

    def _start(self, jobs: dict[str, Job]) -> None:
        assert self._there is not None
        for path in {job.facts for job in jobs.values() if job.facts is not None}:
            name = f"facts/{path.name}"
            if name not in self._put:
                self._way.ask("put", files={name: mirror.packed(path.read_bytes())})
                self._put.add(name)
        workspace = self._there["workspace"]
        code = self._way.code(workspace)
        jobs = {name: job for name, job in jobs.items() if self._sent(job.inputs)}
        asked = {}
        for name, job in jobs.items():
            assert job.launch is not None
            env = job.launch["env"] | {"PYTHONPATH": code}
            asked[name] = {
                "launch": job.launch | {"env": env, "cwd": workspace},
                "files": {file: mirror.packed(content) for file, content in job.content(workspace).items()},
            }
        for some, how in self._ways_to_start(asked, jobs):
            with self._lock:
                some = {name: job for name, job in some.items() if not jobs[name].withdrawn}
                for name in some:
                    jobs[name].tried = True
            if not some:
                continue
            try:
                answer = self._way.ask("start", jobs=some, slurm=how)
            except UnreachableError:
                raise
            except LaunchError:  # an answer: nothing was started
                for name in some:
                    jobs[name].tried = False
                raise
            for name in some:
                if answer[name] == "busy":  # what was there before is being ended
                    jobs[name].tried = False
                else:
                    jobs[name].launch = None

    def _ways_to_start(
        self, asked: dict[str, Any], jobs: dict[str, Job]
    ) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
        """What starts together, and how. On a cluster, runs of as many processes are one array; what is no run is
        started on the login node: it has the network that a hub's dataset needs."""
        if self.host.kind != "slurm":
            return [(asked, None)]
        ways: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
        for num in sorted({jobs[name].num_processes for name in asked if name.startswith("runs/")}):
            some = {n: job for n, job in asked.items() if n.startswith("runs/") and jobs[n].num_processes == num}
            ways.append((some, {"options": sbatch_options(self.host, num), "setup": self.host.setup}))
        others = {name: job for name, job in asked.items() if not name.startswith("runs/")}
        return [*ways, (others, None)] if others else ways

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
                self._way.send(one.source, f"{one.folder}/")
                self._have.add(one)
        except KituiError as error:
            self._send_fault = error
        self._wake.set()

    def _poll(self, jobs: dict[str, Job]) -> None:
        asked = {
            name: {"attempt": job.attempt, "offsets": job.offsets(), "files": job.files} for name, job in jobs.items()
        }
        answer = self._way.ask("poll", jobs=asked, limit_bytes=_BATCH_BYTES)
        for name, job in jobs.items():
            self._take(job, answer["jobs"][name])

    def _take(self, job: Job, told: dict[str, Any]) -> None:
        """Put down what a host says of a job: first what was added to its files, its end last."""
        standing, reason = str(told["standing"]), str(told["reason"])
        tails = {name: mirror.unpacked(told["tails"][name]) for name in mirror.MIRRORED if name in told["tails"]}
        files = {beside(job.folder, name): mirror.unpacked(content) for name, content in told.get("files", {}).items()}
        with self._lock:  # held by whoever closes this: another launcher may go on with these files then
            if self._closed:
                return
            mirror.append(job.folder, tails)
        for path, data in files.items():
            write_atomically(path, data)
        if standing == "ended":
            self._end(job, checked(told["exit"], job.attempt))
        elif standing == "absent":
            # Asked for and not there: the folder is gone. A request that was not answered is simply made again.
            job.standing, job.reason = ("lost" if job.launch is None else "starting"), reason
        else:
            job.standing, job.reason = standing, reason
            job.launch = None

    def _end(self, job: Job, ending: dict[str, Any]) -> None:
        write_json(job.folder / "exit.json", ending)
        job.standing, job.reason = "ended", ""


def _json(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
