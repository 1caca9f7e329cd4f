"""Measure polling: 300 runs on 10 hosts, each host a real sshd on this machine, each run a file that grows.

    python -m tests.bench.hosts [--hosts 10] [--runs 30] [--seconds 30]

A process a host writes a metrics line into each of its runs' files twice a second, as training would; nothing is
trained. Reported: how long one poll of a host takes, and the share of a core that the supervisor's side takes (its own
process, and the ssh processes it starts). Agents and sshd run on this machine too, and are not counted.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from engine.control.launchers.kinds import KINDS
from engine.control.launchers.remote import RemoteLauncher
from engine.control.transport.base import REQUEST_LIMIT_S, A
from engine.control.transport.ssh import Ssh
from engine.records.hosts import Host
from engine.records.processes import MirrorRecord
from engine.records.record import plain
from engine.records.workspace import Workspace, write_json
from tests.hosts import farm

_FEEDER = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
from engine.control.onhost.guard import boot_id, start_ticks
folders = sys.argv[2:]
me = {"attempt": 1, "pid": os.getpid(), "start_ticks": start_ticks(os.getpid()), "boot_id": boot_id()}
files = []
for folder in folders:
    os.makedirs(folder)
    with open(folder + "/guard.json", "w") as handle:
        json.dump(me, handle)
    files.append(open(folder + "/metrics.jsonl", "ab", buffering=0))
step = 0
while True:
    step += 1
    for file in files:
        line = {"kind": "step", "attempt": 1, "step": step, "num_tokens": step * 256, "loss": 5.0,
                "learning_rate": 0.01, "gradient_norm": 1.0, "tokens_per_s": 9000.0, "time_s": time.time()}
        file.write(json.dumps(line).encode() + b"\\n")
    time.sleep(0.5)
"""


class TimedSsh(Ssh):
    """Puts down how long each poll takes."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.polls_s: list[float] = []

    def ask(self, verb: str, kind: type[A], *, limit_s: float = REQUEST_LIMIT_S, **details: object) -> A:
        started = time.perf_counter()
        answer = super().ask(verb, kind, limit_s=limit_s, **details)
        if verb == "poll":
            self.polls_s.append(time.perf_counter() - started)
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--settle-s", type=float, default=10.0, help="to be connected, and caught up with")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="kitui-bench-"))
    (root / "farm").mkdir()
    workspace = Workspace(root / "workspace")
    workspace.create()
    feeders, launchers, ways = [], [], []
    with farm(root / "farm") as machines:
        os.environ.update(machines.env)
        for i in range(options.hosts):
            name = f"h{i}"
            machines.start(name)
            there = root / name
            folders = [str(there / "runs" / f"{name}-{n}") for n in range(options.runs)]
            code = str(Path(__file__).parents[2])
            feeders.append(subprocess.Popen([sys.executable, "-c", _FEEDER, code, *folders]))
            way = TimedSsh(Host(name=name, ssh=name, workspace=str(there), python=sys.executable))
            launchers.append(RemoteLauncher(workspace, way.host, KINDS[way.host.kind], way))
            ways.append(way)
            for n in range(options.runs):
                folder = workspace.run(f"{name}-{n}")
                folder.root.mkdir()
                write_json(folder.host, plain(MirrorRecord(host=name, base={})))
                launchers[-1].standing(folder, 1)
        time.sleep(options.settle_s)
        for way in ways:
            way.polls_s.clear()
        before, started = _cpu_s(), time.perf_counter()
        while time.perf_counter() - started < options.seconds:
            for i, launcher in enumerate(launchers):
                for n in range(options.runs):
                    launcher.standing(workspace.run(f"h{i}-{n}"), 1)
            time.sleep(0.2)  # as often as the supervisor looks
        elapsed = time.perf_counter() - started
        own, children = (100 * (b - a) / elapsed for a, b in zip(before, _cpu_s(), strict=True))
        polls = [s for way in ways for s in way.polls_s]
        behind = [_lines(root / f"h{i}", f"h{i}-0") - _lines(workspace.root, f"h{i}-0") for i in range(options.hosts)]
        for launcher in launchers:
            launcher.close()
        for feeder in feeders:
            feeder.kill()
    print(f"{options.hosts} hosts × {options.runs} runs, {elapsed:.0f} s, {len(polls)} polls")
    print(f"one poll: median {1000 * median(polls):.0f} ms, p95 {1000 * quantiles(polls, n=20)[18]:.0f} ms")
    print(f"supervisor's process {own:.1f} % of a core, its ssh processes {children:.1f} %")
    print(f"metrics lines behind the host: {min(behind)} to {max(behind)}")


def _cpu_s() -> tuple[float, float]:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def _lines(root: Path, run: str) -> int:
    path = root / "runs" / run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


if __name__ == "__main__":
    main()
