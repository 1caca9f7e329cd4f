"""A soak: sweeps are trained while everything that can go wrong does, at random, and must come to the same numbers.

    python -m tests.soak.soak local|ssh SECONDS SEED FOLDER        prints a report as JSON

`FOLDER` is where workspaces are made; where it is a small file system of its own, it is filled up too. One sweep after
the other, as long as the time lasts. Nobody helps: only `kitui watch` runs beside, as a person's terminal would.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from engine.control.ledger.lock import Lock
from engine.control.ledger.state_file import State
from engine.control.onhost.guard import is_alive
from engine.control.status import status
from engine.corpus.verify import verified
from engine.errors import KituiError
from engine.records.processes import GuardRecord
from engine.records.record import plain, read_record
from engine.records.results import read_result
from engine.records.states import RunStatus
from engine.records.workspace import Workspace
from tests.conftest import SAMPLES
from tests.hosts import Farm, farm

ROOT = Path(__file__).parent.parent.parent
SMALL_DISK_BYTES = 2**30
"""A file system of less is there to be filled."""
MOST_UNTRUE_S = 20.0
"""A start takes a while: so long may a run count as running before a guard stands behind it."""
LIMIT_S = 240.0
"""Within so long of the last fault a sweep is over."""


def sweep_file(folder: Path) -> Path:
    """smoke.toml with longer runs and many checkpoints; nothing of that changes a number but the tokens."""
    text = (SAMPLES / "smoke.toml").read_text().replace('num_tokens = ["20k"]', 'num_tokens = ["40k"]')
    assert '"40k"' in text
    text += "\n[execution]\ncheckpoint_every_s = 0.2\nmax_attempts = 1000\n"
    for name in ("facts.jsonl", "templates.toml"):
        shutil.copy(SAMPLES / name, folder / name)
    path = folder / "smoke.toml"
    path.write_text(text)
    return path


class Soak:
    """One workspace under fire."""

    def __init__(self, root: Path, rng: random.Random, report: Report, machines: Farm | None) -> None:
        self.root, self.rng, self.report, self.machines = root, rng, report, machines
        self.workspace = Workspace(root / "w")
        self.host_root = root / "host" if machines is not None else self.workspace.root
        self.environment = os.environ | (machines.env if machines is not None else {})
        self.sockets = self.environment["XDG_RUNTIME_DIR"] if machines is not None else "-"
        self.clock = root / "clock"
        self.environment |= {"TEST_CLOCK": str(self.clock), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'soak' / 'clock'}"}
        self.viewer: subprocess.Popen[bytes] | None = None
        self.untrue_since_s: dict[str, float] = {}

    def kitui(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "kitui", "--workspace", str(self.workspace.root), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, env=self.environment, check=False)

    def run(self, until_s: float) -> None:
        """Train one sweep under faults, to its end."""
        self.workspace.create()
        self.clock.write_text("0")
        if self.machines is not None:
            table = self.machines.table("h1", self.host_root, cores=2)
            (self.workspace.root / "hosts.toml").write_text(table)
        where = ["--host", "h1"] if self.machines is not None else []
        done = self.kitui("launch", str(sweep_file(self.root)), *where)
        assert done.returncode == 0, done.stderr
        last_fault_s = time.monotonic()
        faults = self.faults()
        while not self.is_over():
            self.watch()
            self.check_truth()
            if time.monotonic() < until_s and self.rng.random() < 0.6:
                name = self.rng.choices([*faults], [weight for weight, _ in faults.values()])[0]
                try:
                    if faults[name][1]():
                        self.report.faults[name] += 1
                        last_fault_s = time.monotonic()
                except (OSError, psutil.Error):  # it was gone before
                    continue
            if time.monotonic() - last_fault_s > LIMIT_S:
                self.report.failed.append(f"not over {LIMIT_S:.0f} s after the last fault: {self.standing()}")
                break
            time.sleep(0.25)
        self.settle()

    # Faults: each does its harm and says whether there was anything to harm

    def faults(self) -> dict[str, tuple[float, Callable[[], bool]]]:
        found: dict[str, tuple[float, Callable[[], bool]]] = {
            "kill supervisor": (3, lambda: self.kill("engine.control.supervisor")),
            "end supervisor": (1, lambda: self.kill("engine.control.supervisor", signal.SIGTERM)),
            "stop supervisor": (1, lambda: self.stop_and_go("engine.control.supervisor")),
            "no descriptors": (1, self.take_descriptors),
            "kill analysis": (1, lambda: self.kill("engine.analysis.fit")),
            "kill preparation": (2, lambda: self.kill("engine.corpus.prepare")),
            "kill viewer": (1, self.kill_viewer),
            "kill guard": (3, lambda: self.kill_run("pid")),
            "kill training": (4, lambda: self.kill_run("child_pid")),
            "stop training": (1, lambda: self.kill_run("child_pid", signal.SIGSTOP)),
            "go on training": (2, lambda: self.kill_run("child_pid", signal.SIGCONT)),
            "end guard": (1, lambda: self.kill_run("pid", signal.SIGTERM)),
            "kill all": (0.5, self.kill_all),
            "damage checkpoint": (4, lambda: self.damage(self.host_root.glob("runs/*/checkpoints/*/*"))),
            "damage pointer": (1, lambda: self.damage(self.host_root.glob("runs/*/latest"))),
            "damage tokens": (1, lambda: self.damage(self.host_root.glob("tokens/*/*"))),
            "damage facts": (1, lambda: self.damage(self.host_root.glob("facts/*.json"))),
            "damage result": (1, lambda: self.damage(self.workspace.root.glob("runs/*/result-*.json"))),
            "damage law": (1, lambda: self.damage(self.workspace.root.glob("sweeps/*/law.json"))),
            "rubbish in the queue": (0.5, self.rubbish),
            "set clock": (1, self.set_clock),
        }
        if self.machines is not None:
            found["cut line"] = (2, self.cut_line)
            found["kill ssh"] = (1, lambda: self.kill("ControlPath"))
        elif shutil.disk_usage(self.root).total < SMALL_DISK_BYTES:
            found["full disk"] = (1, self.fill_with_bytes)
            found["no inodes"] = (1, self.fill_with_files)
        return found

    def processes(self, words: str = "") -> list[psutil.Process]:
        """Those that have to do with this workspace, but for the viewer."""
        mine = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            ours = str(self.root) in line or (words == "ControlPath" and self.sockets in line)
            viewer = self.viewer is not None and process.pid == self.viewer.pid
            if ours and words in line and process.pid != os.getpid() and not viewer and "sshd" not in line:
                mine.append(process)
        return mine

    def kill(self, words: str, number: int = signal.SIGKILL) -> bool:
        found = self.processes(words)
        if found:
            self.rng.choice(found).send_signal(number)
        return bool(found)

    def stop_and_go(self, words: str) -> bool:
        found = self.processes(words)
        for process in found:
            process.suspend()
            time.sleep(self.rng.uniform(0.2, 2))
            process.resume()
        return bool(found)

    def take_descriptors(self) -> bool:
        """The supervisor may open nothing more, for a while."""
        found = self.processes("engine.control.supervisor")
        for process in found:
            usual = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.num_fds(), usual[1]))
            time.sleep(self.rng.uniform(0.5, 4))
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, usual)
        return bool(found)

    def set_clock(self) -> bool:
        """Up to a day forward or back, for every process of the workspace here."""
        self.clock.write_text(str(self.rng.randint(-86_400, 86_400)))
        return True

    def guards(self) -> list[GuardRecord]:
        found = []
        for path in self.host_root.glob("runs/*/guard.json"):
            try:
                owner = read_record(GuardRecord, path)
            except KituiError:
                continue
            if owner is not None and is_alive(owner.pid, owner.start_ticks, owner.boot_id):
                found.append(owner)
        return found

    def kill_run(self, who: str, number: int = signal.SIGKILL) -> bool:
        found = self.guards()
        if found:
            os.kill(getattr(self.rng.choice(found), who), number)
        return bool(found)

    def kill_all(self) -> bool:
        found = self.processes()
        for process in found:
            process.kill()
        self.kill_viewer()
        return bool(found)

    def kill_viewer(self) -> bool:
        if self.viewer is None:
            return False
        self.viewer.kill()
        self.viewer.wait()
        self.viewer = None
        return True

    def damage(self, files: Any) -> bool:
        found = [path for path in files if path.is_file() and path.stat().st_size and not path.name.startswith(".")]
        if not found:
            return False
        path = self.rng.choice(sorted(found))
        how = self.rng.choice(["bit", "zeros", "cut", "empty", "shape"])
        with path.open("r+b") as handle:  # in place, as a disk does it
            content = handle.read()
            start = self.rng.randrange(len(content))
            if how == "bit":
                changed = content[:start] + bytes([content[start] ^ 1 << self.rng.randrange(8)]) + content[start + 1 :]
            elif how == "zeros":
                changed = content[:start] + bytes(len(content[start : start + 4096])) + content[start + 4096 :]
            else:
                changed = {"cut": content[:start], "empty": b"", "shape": b"[1, 2]"}[how]
            if changed == content:
                return False
            handle.seek(0)
            handle.write(changed)
            handle.truncate()
        self.report.damages[how] += 1
        return True

    def rubbish(self) -> bool:
        (self.workspace.queue / f"{self.rng.randrange(10**9)}.json").write_bytes(self.rng.randbytes(50))
        return True

    def fill_with_bytes(self) -> bool:
        filler = self.root / "filler"
        try:
            with filler.open("wb", buffering=0) as handle:
                while True:
                    handle.write(bytes(2**16))
        except OSError:
            pass
        time.sleep(self.rng.uniform(0.5, 4))
        filler.unlink()
        return True

    def fill_with_files(self) -> bool:
        many = self.root / "many"
        many.mkdir()
        try:
            for number in range(10**6):
                (many / str(number)).touch()
        except OSError:
            pass
        time.sleep(self.rng.uniform(0.5, 4))
        shutil.rmtree(many)
        return True

    def cut_line(self) -> bool:
        assert self.machines is not None
        self.machines.stop("h1")
        time.sleep(self.rng.uniform(0.5, 5))
        self.machines.start("h1")
        return True

    # What must be so

    def watch(self) -> None:
        """A person's terminal, opened again where it was closed."""
        if self.viewer is None or self.viewer.poll() is not None:
            argv = [sys.executable, "-m", "kitui", "--workspace", str(self.workspace.root), "watch", "--plain"]
            self.viewer = subprocess.Popen(
                argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment
            )

    def standing(self) -> Any:
        try:
            document = status(self.workspace, State(self.workspace))
        except KituiError as error:
            return str(error)
        return [({str(s): n for s, n in row.counts.items() if n}, row.alerts[:2]) for row in document.sweeps]

    def is_over(self) -> bool:
        state = State(self.workspace)
        try:
            state.refresh()
        except KituiError:
            return False
        sweep = state.sweeps.get("smoke")
        return sweep is not None and not sweep.active

    def check_truth(self) -> None:
        """A run that is shown as running has a process, or gets one soon; one that is shown as done has its result."""
        state = State(self.workspace)
        try:
            document = status(self.workspace, state)
        except (KituiError, OSError):
            return
        self.report.looks += 1
        row = document.sweep("smoke")
        alive = {owner.pid for owner in self.guards()}
        claimed = row.num(RunStatus.RUNNING) if row is not None else 0
        now_s = time.monotonic()
        if claimed > len(alive):
            since_s = self.untrue_since_s.setdefault("running", now_s)
            if now_s - since_s > MOST_UNTRUE_S:
                self.report.untrue.append(f"{claimed} running, {len(alive)} guards, for {now_s - since_s:.0f} s")
                self.untrue_since_s["running"] = now_s
        else:
            self.untrue_since_s.pop("running", None)
        if Lock(self.workspace).holder() is None and claimed > len(alive):
            self.report.untrue.append(f"{claimed} running, no supervisor, {len(alive)} guards")

    def settle(self) -> None:
        """Over: the numbers are there, and nothing else is left."""
        self.report.sweeps += 1
        mended = 0
        while (found := verified(self.workspace, "smoke")).faults and mended < 5:
            # Damaged after it was last read, or kept for nobody: said, and made anew on request.
            self.report.told += len(found.faults)
            mended += 1
            done = self.kitui("verify", "smoke", "--mend")
            if done.returncode:
                self.report.failed.append(f"cannot be mended: {done.stdout[-500:]} {done.stderr[-500:]}")
                return
            deadline_s = time.monotonic() + LIMIT_S
            while not self.is_over() and time.monotonic() < deadline_s:
                self.watch()
                time.sleep(0.25)
        self.kill_viewer()
        numbers = {}
        state = State(self.workspace)
        state.refresh()
        sweep = state.sweeps["smoke"]
        for run_id in sweep.run_ids:
            try:
                result = read_result(self.workspace.run(run_id).result(sweep.evaluation_id))
            except KituiError as error:
                self.report.failed.append(f"{error}, mended {mended} times: {state.runs[run_id]} {self.standing()}")
                return
            if result is None:
                self.report.failed.append(f"{run_id} has no result: {str(self.standing())[:400]}")
                return
            measured = plain(result)
            numbers[run_id] = {key: measured[key] for key in measured if key not in ("execution", "attempt")}
        if self.report.truth is None:
            self.report.truth = numbers
        elif numbers != self.report.truth:
            wrong = [run_id for run_id in numbers if numbers[run_id] != self.report.truth.get(run_id)]
            self.report.failed.append(f"other numbers: {wrong}")
        self.report.runs += len(numbers)
        self.check_nothing_left()

    def check_nothing_left(self) -> None:
        deadline_s = time.monotonic() + 60
        while (left := self.processes()) and time.monotonic() < deadline_s:
            time.sleep(0.5)
        self.report.processes_left += [" ".join(process.cmdline()) for process in left]
        for root in {self.workspace.root, self.host_root}:
            names = (str(path.relative_to(root)) for path in root.rglob("*"))
            temporary = [n for n in names if n.endswith((".tmp", ".building", ".removed")) or "/.deleted-" in n]
            self.report.files_left += temporary


class Report:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.sweeps = self.runs = self.looks = self.told = 0
        self.faults: Counter[str] = Counter()
        self.damages: Counter[str] = Counter()
        self.truth: dict[str, Any] | None = None
        self.failed: list[str] = []
        self.untrue: list[str] = []
        self.processes_left: list[str] = []
        self.files_left: list[str] = []

    def as_json(self) -> dict[str, Any]:
        words = {key: value for key, value in vars(self).items() if key != "truth"}
        return words | {"num_faults": self.faults.total()}


def soak(mode: str, seconds: float, seed: int, folder: Path) -> Report:
    """One undisturbed sweep, whose numbers are the truth, and then others under fire until the time is over."""
    report, rng = Report(seed), random.Random(seed)
    undisturbed = Soak(folder / "truth", rng, report, None)
    undisturbed.root.mkdir(parents=True)
    undisturbed.run(until_s=0)
    shutil.rmtree(undisturbed.root)
    until_s, number = time.monotonic() + seconds, 0
    while time.monotonic() < until_s and not report.failed:
        number += 1
        root = folder / str(number)
        root.mkdir()
        if mode == "ssh":
            (root / "farm").mkdir()
            with farm(root / "farm") as machines:
                machines.start("h1")
                Soak(root, rng, report, machines).run(until_s)
        else:
            Soak(root, rng, report, None).run(until_s)
        if not report.failed:  # what failed is there to be looked at
            shutil.rmtree(root)
    return report


if __name__ == "__main__":
    mode, seconds, seed, folder = sys.argv[1:]
    print(json.dumps(soak(mode, float(seconds), int(seed), Path(folder)).as_json()))
