"""Slurm as the agent sees it, on a login node or where `sbatch` is. Standard library only.

Jobs are submitted as one array for all that start together, each task a guard with its run. Slurm requeues none of them
(`--no-requeue`): who asked for a run asks again, so that a run is never in the queue twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from typing import Any

_LIMIT_S = 8
_GONE_S = 10
"""A job that has left the queue may have ended well: its word may be under way over a network file system."""
_WAITS = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT")
_TAKEN = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL")
"""Ends that are the cluster's doing, and say nothing against the run."""
_FILE = "slurm.json"


class SlurmError(OSError):
    """Slurm does not answer, or refuses."""

    def __init__(self, words: str) -> None:
        super().__init__(1, words)
        self.filename = "Slurm"


def submit(workspace: str, attempts: dict[str, int], settings: dict[str, Any]) -> None:
    """Submit guards for these run folders (with their attempts), in one array. What an interrupted request has
    submitted already is found in the queue, and not submitted again."""
    batches = os.path.join(workspace, "batches")
    os.makedirs(batches, mode=0o700, exist_ok=True)
    with open(os.path.join(batches, "lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = f"kitui {workspace} "
        rows = [line.partition("|") for line in _run(["squeue", "--me", "-h", "-o", "%F|%k"]).splitlines()]
        arrays = {words.strip()[len(mark) :]: number for number, _, words in rows if words.strip().startswith(mark)}
        for key, array in arrays.items():
            for index, line in enumerate(_lines(os.path.join(batches, key))):
                attempt, _, folder = line.partition("\t")
                if attempts.get(folder) == int(attempt):
                    _put_down(batches, folder, attempts.pop(folder), key, array, index)
        if attempts:
            lines = [f"{attempt}\t{folder}" for folder, attempt in sorted(attempts.items())]
            key = hashlib.sha256(("\n".join(lines) + str(time.time())).encode()).hexdigest()[:12]
            with open(os.path.join(batches, key), "w", encoding="utf-8") as handle:
                handle.write("\n".join(lines) + "\n")
            array = _submit_array(os.path.join(batches, key), len(lines), mark + key, settings)
            for index, line in enumerate(lines):
                attempt, _, folder = line.partition("\t")
                _put_down(batches, folder, int(attempt), key, array, index)


def _submit_array(listed: str, size: int, comment: str, settings: dict[str, Any]) -> str:
    guard = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guard.py")
    script = (
        f"#!/bin/sh\n{settings['setup']}\n"
        f'folder=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {shlex.quote(listed)} | cut -f 2-)\n'
        f'exec {shlex.quote(sys.executable)} -I {shlex.quote(guard)} "$folder"\n'
    )
    argv = ["sbatch", "--parsable", "--job-name=kitui", f"--comment={comment}", "--no-requeue", "--chdir=/"]
    argv += [f"--array=0-{size - 1}", f"--output={listed}-%a.log", "--open-mode=append"]
    return _run([*argv, *settings["options"]], script).strip().partition(";")[0]


def _put_down(batches: str, folder: str, attempt: int, key: str, array: str, index: int) -> None:
    """Which job an attempt is, and where the job itself writes: what a guard that did not come up has said."""
    log = os.path.join(batches, f"{key}-{index}.log")
    _write(folder, {"attempt": attempt, "job": f"{array}_{index}", "log": log})


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read().splitlines()
    except FileNotFoundError:
        return []


def queue() -> dict[str, tuple[str, str]]:
    """This user's jobs that wait or run: state and reason, by job. SlurmError where nobody answers."""
    rows = [line.split("|") for line in _run(["squeue", "--me", "-r", "-h", "-o", "%i|%T|%r"]).splitlines()]
    return {row[0].strip(): (row[1].strip(), row[2].strip()) for row in rows if len(row) == 3}


def cluster() -> dict[str, Any]:
    """What kind of cluster this is."""
    partitions = _run(["sinfo", "-h", "-o", "%R"]).split()
    version = _run(["sbatch", "--version"]).strip()
    return {"version": version, "partitions": ", ".join(sorted(set(partitions))), "jobs": len(queue())}


def job_of(folder: str, attempt: int) -> dict[str, Any] | None:
    """The job that an attempt was submitted as."""
    try:
        with open(os.path.join(folder, _FILE), encoding="utf-8") as handle:
            job = dict(json.load(handle))
    except FileNotFoundError:
        return None
    return job if job["attempt"] == attempt else None


def standing(folder: str, job: dict[str, Any], jobs: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """How a job without a word of its guard stands: waiting (and why), running, taken (by the cluster) or lost."""
    state, reason = jobs.get(job["job"], ("", ""))
    if state in _WAITS:
        return "waiting", reason
    if state:
        if "gone_s" in job:
            _write(folder, {key: value for key, value in job.items() if key != "gone_s"})
        return "running", ""
    if "gone_s" not in job:
        _write(folder, dict(job, gone_s=time.time()))
        return "running", ""
    if time.time() - job["gone_s"] < _GONE_S:
        return "running", ""
    ended_as = _ended_as(job["job"])
    if ended_as in _TAKEN:
        return "taken", f"job {job['job']}: {ended_as.lower().replace('_', ' ')}"
    return "lost", f"job {job['job']} ended without a word of its run{_last_words(job['log'])}"


def _ended_as(job: str) -> str:
    """The state that a job ended in: the controller forgets it after a while, and accounting, where there is any,
    remembers it."""
    for argv, mark in (
        (["scontrol", "show", "job", "-o", job], "JobState="),
        (["sacct", "-nXP", "-j", job, "-o", "State"], ""),
    ):
        try:
            words = _run(argv).split()
        except SlurmError:
            continue
        found = next((word.removeprefix(mark) for word in words if word.startswith(mark)), "")
        if found:
            return found
    return ""


def _last_words(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            lines = [line.strip() for line in handle.read()[-4000:].splitlines() if line.strip()]
    except OSError:
        return ""
    return f": {lines[-1][:300]}" if lines else ""


def stop(job: dict[str, Any], jobs: dict[str, tuple[str, str]]) -> bool:
    """Ask a job to end after a checkpoint; whether it had not begun, and is simply out of the queue now."""
    state = jobs.get(job["job"], ("", ""))[0]
    if state in _WAITS:
        _run(["scancel", job["job"]])
        return True
    if state:
        _run(["scancel", "--batch", "--signal=TERM", job["job"]])
    return False


def _write(folder: str, content: dict[str, Any]) -> None:
    path = os.path.join(folder, _FILE)
    with open(path + ".tmp", "w", encoding="utf-8") as handle:
        json.dump(content, handle)
    os.replace(path + ".tmp", path)


def _run(argv: list[str], given: str = "") -> str:
    try:
        done = subprocess.run(argv, input=given.encode(), capture_output=True, timeout=_LIMIT_S, check=False)
    except FileNotFoundError:
        raise SlurmError(f"{argv[0]} is not there") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{argv[0]} does not answer") from None
    if done.returncode:
        raise SlurmError(f"{argv[0]}: {' '.join(done.stderr.decode(errors='replace').split())[-300:]}")
    return done.stdout.decode(errors="replace")
