"""Runs on another machine, over ssh. A thread of its own talks with the host; what it learns lies in the run folders
here, byte for byte what lies there, so that everything else reads a run the same way wherever it is trained.

A line that is cut says nothing of the runs: they go on, and are caught up with when it is back.
"""

from __future__ import annotations

import base64
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from engine.control.hosts import Host, sbatch_options
from engine.control.launchers.base import Slot, Standing
from engine.control.relocation import Input, inputs_of, relocated_bundle, relocated_run
from engine.control.ssh import UnreachableError
from engine.errors import KituiError, LaunchError
from engine.records.bundle import SweepBundle, read_section
from engine.records.record import plain
from engine.records.workspace import RunFolder, Workspace, read_json, write_atomically, write_json
from engine.spec.runspec import RunSpec

POLL_S = 1.0
_AGAIN_S = (1.0, 2.0, 5.0)
"""Waits before a host that did not answer is asked again; the last one for ever."""
_BATCH_BYTES = 8 * 2**20
_OVER = ("ended", "lost", "taken")
_HOST = RunFolder(Path()).host.name
_RESULTS = ("result-*.json",)
_MIRRORED = ("metrics.jsonl", "log.txt")
_FACTS_BYTES = 64 * 2**20
TRAINING_MODULE, PREPARING_MODULE = "engine.training.run", "engine.corpus.prepare"


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


class _Job:
    """Something that a guard there owns: a run, or a preparation. `launch` is what it is still to be started with."""

    def __init__(self, attempt: int, folder: Path, files: tuple[str, ...], launch: dict[str, Any] | None) -> None:
        self.attempt, self.folder, self.files, self.launch = attempt, folder, files, launch
        self.content: Callable[[str], dict[str, bytes]] = lambda _workspace: {}
        """Files to put beside `launch.json`, given the workspace there."""
        self.facts: Path | None = None
        self.inputs: list[Input] = []
        self.stop = False
        self.base: dict[str, int] | None = None
        """Where in the files here those of the host begin, once that has been read."""
        self.standing, self.reason = "starting", ""


class RemoteLauncher:
    def __init__(self, workspace: Workspace, host: Host, way: Way) -> None:
        self._workspace, self._way, self.host = workspace, way, host
        self._jobs: dict[str, _Job] = {}
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._there: dict[str, Any] | None = None
        self._put: set[str] = set()
        self._have: set[Input] = set()
        self._sending: threading.Thread | None = None
        self._send_fault: KituiError | None = None
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
            "argv": ["-m", TRAINING_MODULE, run, "--threads", slot.env["OMP_NUM_THREADS"], "--attempt", str(attempt)],
            "env": slot.env,
        }
        job = _Job(attempt, folder.root, _RESULTS, launch)
        spec = read_section(RunSpec, folder.spec)
        job.content = lambda workspace: {"spec.json": _json(relocated_run(spec, workspace).model_dump(mode="json"))}
        job.facts = self._workspace.facts(spec.facts_id)
        self._begin_mirror(folder.root)
        with self._lock:
            self._jobs[run] = job
        self._wake.set()

    def standing(self, folder: RunFolder, attempt: int) -> Standing:
        name = f"runs/{folder.root.name}"
        with self._lock:
            job = self._jobs.get(name)
            known = job is not None and job.attempt == attempt
            if not known:  # of an earlier supervisor
                job = self._jobs[name] = _Job(attempt, folder.root, _RESULTS, None)
            assert job is not None
        if known and job.standing not in _OVER:
            return Standing(job.standing, reason=job.reason)
        ended = read_json(folder.exit)
        if ended is None or ended["attempt"] != attempt:
            return Standing("starting" if job.standing == "ended" else job.standing, reason=job.reason)
        with self._lock:
            self._jobs.pop(name, None)
        return Standing("ended", ended)

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
            if known is not None and known.attempt == attempt:
                return
            launch = {"attempt": attempt, "argv": ["-m", PREPARING_MODULE, "make", name], "env": _CPU}
            folder = self._workspace.sweep(bundle.plan.sweep).root / f"on-{self.host.name}"
            folder.mkdir(mode=0o700, exist_ok=True)
            job = self._jobs[name] = _Job(attempt, folder, ("plan.json",), launch)
            (folder / "log.txt").unlink(missing_ok=True)
            job.content = lambda workspace: {"bundle.json": _json(plain(relocated_bundle(bundle, workspace)))}
            job.inputs = inputs_of(bundle)
        self._wake.set()

    def prepared(self, sweep: str) -> tuple[bool, str]:
        """Whether a sweep's token files are there, and what went wrong, if anything did."""
        with self._lock:
            job = self._jobs.get(f"sweeps/{sweep}")
        if job is None or job.standing not in _OVER:
            return False, ""
        if job.standing == "lost":
            return False, "the preparation is gone and left no word"
        ending = read_json(job.folder / "exit.json") or {}
        if ending.get("returncode") == 0:
            return True, ""
        return False, _said(job.folder / "log.txt") or str(ending.get("reason") or "no reason given")

    def drop(self, sweep: str) -> None:
        """A sweep is no longer to be prepared."""
        with self._lock:
            self._jobs.pop(f"sweeps/{sweep}", None)

    def close(self) -> None:
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
            except (KituiError, OSError, ValueError, KeyError) as error:
                self.contact = self.contact._replace(fault=str(error))
            self._pause(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)])
            failures += 1

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _round(self) -> None:
        """Everything that is to be done and known, in a few requests."""
        if self._there is None:
            self._there = self._way.ask("hello")
            self.contact = self.contact._replace(slots=tuple(slots_of(self.host, self._there)))
        with self._lock:
            jobs = dict(self._jobs)
        new = {name: job for name, job in jobs.items() if job.launch is not None}
        if new:
            self._start(new)
        stopping = [name for name, job in jobs.items() if job.stop]
        if stopping:
            self._way.ask("stop", attempts={name: jobs[name].attempt for name in stopping})
            for name in stopping:
                jobs[name].stop = False
        watched = {n: j for n, j in jobs.items() if j.launch is None and j.standing not in _OVER}
        if watched:
            self._poll(watched)

    def _start(self, jobs: dict[str, _Job]) -> None:
        assert self._there is not None
        for path in {job.facts for job in jobs.values() if job.facts is not None}:
            name = f"facts/{path.name}"
            if name not in self._put:
                self._way.ask("put", files={name: _packed(path.read_bytes())})
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
                "files": {file: _packed(content) for file, content in job.content(workspace).items()},
            }
        slurm = {"options": sbatch_options(self.host), "setup": self.host.setup} if self.host.kind == "slurm" else None
        runs = {name: job for name, job in asked.items() if name.startswith("runs/")}
        others = {name: job for name, job in asked.items() if name not in runs}
        if runs:
            self._way.ask("start", jobs=runs, slurm=slurm)
        if others:  # a login node has the network that a hub's dataset needs
            self._way.ask("start", jobs=others, slurm=None)
        for job in jobs.values():
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
                self._way.send(one.source, f"{one.folder}/")
                self._have.add(one)
        except KituiError as error:
            self._send_fault = error
        self._wake.set()

    def _poll(self, jobs: dict[str, _Job]) -> None:
        asked = {
            name: {"attempt": job.attempt, "offsets": _offsets(job), "files": job.files} for name, job in jobs.items()
        }
        answer = self._way.ask("poll", jobs=asked, limit_bytes=_BATCH_BYTES)
        for name, job in jobs.items():
            self._take(job, answer["jobs"][name])

    def _take(self, job: _Job, told: dict[str, Any]) -> None:
        """Put down what a host says of a job: first what was added to its files, its end last."""
        for name in _MIRRORED:
            if name in told["tails"]:
                with open(f"{job.folder}/{name}", "ab") as handle:
                    handle.write(_unpacked(told["tails"][name]))
        for name, content in told.get("files", {}).items():
            write_atomically(_beside(job.folder, name), _unpacked(content))
        if told["standing"] == "ended":
            write_json(job.folder / "exit.json", told["exit"])
        job.standing = "lost" if told["standing"] == "absent" else told["standing"]
        job.reason = told["reason"]

    def _begin_mirror(self, folder: Path) -> None:
        """From where in the files here those of this host go on: they begin afresh on a host that did not have the
        run before."""
        known = read_json(folder / _HOST)
        if known is not None and known["host"] == self.host.name:
            return
        base = {}
        for name in _MIRRORED:
            path = folder / name
            if path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
                with path.open("ab") as handle:
                    handle.write(b"\n")
            base[name] = path.stat().st_size if path.exists() else 0
        write_json(folder / _HOST, {"host": self.host.name, "base": base})


_CPU = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def slots_of(host: Host, there: dict[str, Any]) -> Iterable[Slot]:
    """The slots of a host by what it says of itself, and what `hosts.toml` allows of that."""
    if host.kind == "slurm":  # GPUs and cores are given out by the cluster
        for number in range(host.jobs):
            yield Slot(f"job:{number}", "slurm", {"OMP_NUM_THREADS": str(host.cpus)})
        return
    gpus = [g["index"] for g in there["gpus"]] if host.gpus is None else list(host.gpus)
    if gpus and host.cores is None:
        for gpu in gpus:
            for turn in range(host.runs_per_slot):
                name = f"gpu:{gpu}" + (f".{turn + 1}" if host.runs_per_slot > 1 else "")
                yield Slot(name, "gpu", {"CUDA_VISIBLE_DEVICES": gpu, "OMP_NUM_THREADS": "4"})
        return
    for core in range(host.cores or there["cores"]):
        yield Slot(f"cpu:{core}", "cpu", _CPU)


def _offsets(job: _Job) -> dict[str, int]:
    """How much of each file of the host is here."""
    if job.base is None:
        job.base = (read_json(job.folder / _HOST) or {"base": {}})["base"]
    offsets = {}
    for name in _MIRRORED:
        try:
            size = os.stat(f"{job.folder}/{name}").st_size
        except FileNotFoundError:
            size = 0
        offsets[name] = max(0, size - job.base.get(name, 0))
    return offsets


def _beside(folder: Path, name: str) -> Path:
    """A file of the folder itself: a host names no other place."""
    if Path(name).name != name or name.startswith("."):
        raise LaunchError("not the name of a result.", value=name)
    return folder / name


def _said(log: Path) -> str:
    """What a preparation found wrong: the error that it ends with as JSON, or its last line."""
    lines = [line for line in log.read_bytes().splitlines() if line.strip()] if log.exists() else []
    if not lines:
        return ""
    try:
        return str(KituiError.from_json(orjson.loads(lines[-1])))
    except (orjson.JSONDecodeError, AttributeError):
        return lines[-1].decode(errors="replace")


def _json(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 1)).decode()


def _unpacked(text: str) -> bytes:
    """What the agent packed; not more than a file of a run can be, whatever a host sends."""
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(text), _FACTS_BYTES)
    if unpacker.unconsumed_tail:
        raise LaunchError("a host sent more than a file of a run can hold.")
    return data
