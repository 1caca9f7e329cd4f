"""The agent: what kitui runs on a host to see and do things there. Standard library only.

    python agent.py WORKSPACE NONCE         (a request on standard input, its answer on standard output; both JSON)

It lives as long as one request. The answer is one line after the nonce, so that what a login shell prints before is not
taken for it. All paths in requests are below the workspace; nothing is read that would run as code.
"""

from __future__ import annotations

import base64
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.control.onhost import guard, slurm

    Json = dict[str, Any]
else:  # as a file among others, wherever it was copied to
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import guard
    import slurm

_START_LIMIT_S = 180
_CHECKPOINTS = ("runs", ["checkpoints"])
_MODULES = ("torch", "transformers", "datasets", "tokenizers", "safetensors", "numpy", "pydantic", "msgspec", "orjson")


def main() -> None:
    workspace, nonce = os.path.abspath(os.path.expanduser(sys.argv[1])), sys.argv[2]
    os.umask(0o077)
    request = json.loads(sys.stdin.buffer.read())
    try:
        answer = _VERBS[request["do"]](workspace, request)
    except OSError as error:
        answer = {"error": f"{error.filename or workspace}: {error.strerror}"}
    sys.stdout.write(f"\n{nonce} {json.dumps(answer)}\n")
    sys.stdout.flush()


def hello(workspace: str, request: Json) -> Json:
    """What kind of host this is. The workspace is made, and it is tried whether it can be written."""
    if os.path.exists(os.path.join(workspace, "state.json")) and not request.get("own"):
        return {"error": f"{workspace}: this folder is a kitui workspace of its own. Give this host another one"}
    os.makedirs(workspace, mode=0o700, exist_ok=True)
    if request.get("tokens"):
        fault = _link_tokens(workspace, os.path.abspath(os.path.expanduser(request["tokens"])))
        if fault:
            return {"error": fault}
    for folder in ("runs", "sweeps", "tokens", "facts"):
        os.makedirs(os.path.join(workspace, folder), mode=0o700, exist_ok=True)
    trial = os.path.join(workspace, f".written-{os.getpid()}")
    with open(trial, "wb") as handle:
        handle.write(b"x" * 4096)
        handle.flush()
        os.fsync(handle.fileno())
    os.unlink(trial)
    answer: Json = {
        "workspace": workspace,
        "node": os.uname().nodename,
        "python": list(sys.version_info[:3]),
        "executable": sys.executable,
        "time_s": time.time(),
        "boot_id": guard.boot_id(),
        "cores": len(os.sched_getaffinity(0)),
        "free_bytes": shutil.disk_usage(workspace).free,
        "gpus": _gpus(),
    }
    if request.get("modules"):
        answer["missing"] = [name for name in _MODULES if not _has_module(name)]
    return answer


def _link_tokens(workspace: str, folder: str) -> str:
    """Have the workspace's token files lie in this folder; what is in the way of that, if anything is."""
    link = os.path.join(workspace, "tokens")
    os.makedirs(folder, exist_ok=True)
    if os.path.islink(link) and os.path.realpath(link) != os.path.realpath(folder):
        os.unlink(link)
    elif os.path.isdir(link) and not os.path.islink(link):
        if os.listdir(link):
            return f"{link}: there are token files here already. Move them to {folder}, and remove this folder"
        os.rmdir(link)
    if not os.path.lexists(link):
        os.symlink(folder, link)
    return ""


def remove(workspace: str, request: Json) -> Json:
    """Remove folders of runs and sweeps, the checkpoints of runs, and token files that nobody else may use. What still
    runs stays."""
    for name in request["names"]:
        folder, (kind, *rest) = _below(workspace, name), name.split("/")
        if kind not in ("runs", "sweeps", "tokens") or not (len(rest) == 1 or (kind, rest[1:]) == _CHECKPOINTS):
            continue
        identity = _json(os.path.join(workspace, kind, rest[0]), "guard.json")
        if identity is not None and _is_alive(identity):
            continue
        if kind != "tokens" or not os.path.islink(os.path.dirname(folder)):
            shutil.rmtree(folder, ignore_errors=True)
    return {}


def _has_module(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


def _gpus() -> list[Json]:
    """Each GPU's index, name and memory in bytes, as nvidia-smi tells; none where there is no such program."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode:
        return []
    rows = [[part.strip() for part in line.split(",")] for line in done.stdout.decode().splitlines() if line.strip()]
    return [{"index": r[0], "name": r[1], "memory_bytes": int(float(r[2]) * 2**20)} for r in rows]


def put(workspace: str, request: Json) -> Json:
    """Write files, each whole or not at all."""
    for name, content in request["files"].items():
        path = _below(workspace, name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        _replace(path, _unpacked(content))
    return {}


def start(workspace: str, request: Json) -> Json:
    """Start guards, themselves or as Slurm jobs. One that was started for the same attempt before is not started
    again."""
    answer: dict[str, str] = {}
    submitted: dict[str, int] = {}
    for name, job in request["jobs"].items():
        folder = _below(workspace, name)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        attempt = job["launch"]["attempt"]
        before = _json(folder, "launch.json")
        known = {file: _json(folder, file) for file in ("guard.json", "exit.json", "slurm.json")}
        # Attempts are counted anew where a run was deleted: it is the launch's own id that says whether this is it.
        same = before is not None and before.get("id") == job["launch"].get("id")
        if same and any(k is not None and k["attempt"] == attempt for k in known.values()):
            answer[name] = "already"
            continue
        guarding = known["guard.json"]
        if guarding is not None and _is_alive(guarding):  # of an earlier launch: two cannot share a folder
            os.kill(guarding["pid"], signal.SIGTERM)
            answer[name] = "busy"
            continue
        for file in known:
            if known[file] is not None:
                os.unlink(os.path.join(folder, file))
        for file, content in job.get("files", {}).items():
            _replace(os.path.join(folder, file), _unpacked(content))
        launch = dict(job["launch"], argv=[sys.executable] + job["launch"]["argv"])
        _replace(os.path.join(folder, "launch.json"), json.dumps(launch).encode())
        answer[name] = "started"
        if request.get("slurm"):
            submitted[folder] = attempt
            continue
        subprocess.Popen(
            [sys.executable, "-I", os.path.abspath(guard.__file__), folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd="/",
        )  # fmt: skip
    if submitted:
        slurm.submit(workspace, submitted, request["slurm"])
    return {"jobs": answer}


def stop(workspace: str, request: Json) -> Json:
    """Ask guards to have their runs write a checkpoint and end. A job that has not begun is ended as it is."""
    jobs = None
    for name, attempt in request["attempts"].items():
        folder = _below(workspace, name)
        job = slurm.job_of(folder, attempt)
        if job is not None:
            jobs = slurm.queue() if jobs is None else jobs
            if slurm.stop(job, jobs):
                ending = {"attempt": attempt, "returncode": None, "signal": "SIGTERM", "stopped": True, "warned": False}
                ending.update(started_s=None, ended_s=time.time(), max_rss_bytes=0, reason="it had not begun")
                _replace(os.path.join(folder, "exit.json"), json.dumps(ending).encode())
            continue
        identity = _json(folder, "guard.json")
        if identity is not None and _is_alive(identity):
            os.kill(identity["pid"], signal.SIGTERM)
    return {}


def poll(workspace: str, request: Json) -> Json:
    """How jobs stand, with what their files hold from the given offsets on, `limit_bytes` in all at most.

    How a job stands is read before its files: of one that has ended, nothing is missing then that fits.
    """
    left = request["limit_bytes"]
    jobs: Json = {}
    in_queue = None
    for name, asked in request["jobs"].items():
        folder = _below(workspace, name)
        reason = ""
        job = slurm.job_of(folder, asked["attempt"])
        if job is None:
            standing, ending = _standing(folder, asked["attempt"])
        else:
            in_queue = slurm.queue() if in_queue is None else in_queue
            ending = _json(folder, "exit.json")
            standing = "ended" if ending is not None and ending["attempt"] == asked["attempt"] else ""
            if not standing:
                standing, reason = slurm.standing(folder, job, in_queue)
        tails: dict[str, str] = {}
        whole = True
        for file, offset in asked["offsets"].items():
            data, more = _tail(os.path.join(folder, file), offset, left)
            left -= len(data)
            whole = whole and not more
            if data:
                tails[file] = _packed(data)
        files: dict[str, str] = {}
        if standing == "ended" and whole:
            for pattern in asked["files"]:
                for path in sorted(glob.glob(os.path.join(glob.escape(folder), pattern))):
                    with open(path, "rb") as handle:
                        files[os.path.basename(path)] = _packed(handle.read())
        # An ending is told when everything before it has been: the reader has then all of it.
        shown = standing if standing != "ended" or whole else "running"
        jobs[name] = {"standing": shown, "reason": reason, "tails": tails}
        if standing == "ended" and whole:
            jobs[name].update(exit=ending, files=files)
    return {"jobs": jobs, "time_s": time.time(), "free_bytes": shutil.disk_usage(workspace).free}


def _is_alive(identity: Json) -> bool:
    return guard.is_alive(identity["pid"], identity["start_ticks"], identity["boot_id"])


def _standing(folder: str, attempt: int) -> tuple[str, Json | None]:
    """How an attempt stands: absent, starting, running, ended (with the guard's account) or lost."""
    ending = _json(folder, "exit.json")
    if ending is not None and ending["attempt"] == attempt:
        return "ended", ending
    identity = _json(folder, "guard.json")
    if identity is not None and identity["attempt"] == attempt:
        if _is_alive(identity):
            return "running", None
        ending = _json(folder, "exit.json")  # it may have ended between the two looks
        if ending is not None and ending["attempt"] == attempt:
            return "ended", ending
        return "lost", None
    launch = _json(folder, "launch.json")
    if launch is None or launch["attempt"] != attempt:
        return "absent", None
    asked_s = os.stat(os.path.join(folder, "launch.json")).st_mtime
    return ("starting" if time.time() - asked_s < _START_LIMIT_S else "lost"), None


def _tail(path: str, offset: int, limit: int) -> tuple[bytes, bool]:
    try:
        with open(path, "rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            handle.seek(offset)
            data = handle.read(max(0, min(limit, size - offset)))
            return data, offset + len(data) < size
    except FileNotFoundError:
        return b"", False


def _below(workspace: str, name: str) -> str:
    path = os.path.normpath(os.path.join(workspace, name))
    if not path.startswith(workspace + os.sep):
        raise PermissionError(1, "not below the workspace", name)
    return path


def _json(folder: str, name: str) -> Json | None:
    try:
        with open(os.path.join(folder, name), "rb") as handle:
            return dict(json.loads(handle.read()))
    except FileNotFoundError:
        return None


def _replace(path: str, content: bytes) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 1)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def cluster(workspace: str, request: Json) -> Json:
    """What Slurm says of itself."""
    return dict(slurm.cluster())


_VERBS: dict[str, Callable[[str, Json], Json]] = {
    "hello": hello,
    "remove": remove,
    "put": put,
    "start": start,
    "stop": stop,
    "poll": poll,
    "cluster": cluster,
}

if __name__ == "__main__":
    main()
