"""Where everything lies in a workspace, and how files are replaced there so that no reader sees half of one."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from engine.errors import DamageError, StateError

_NAMES = {
    "queue", "sweeps", "runs", "tokens", "facts", "state.json", "probe.json", "hosts.toml", "workspace.toml", "code",
    "supervisor.lock", "supervisor.log", "supervisor.log.1", "inputs", "demo", "predictions", "trash",
}  # fmt: skip


class Workspace:
    """The folder that holds sweeps, runs and token files. Paths only; nothing is created until `create`."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.state = self.root / "state.json"
        self.queue = self.root / "queue"
        self.probe = self.root / "probe.json"
        self.predictions = self.root / "predictions"
        self.trash = self.root / "trash"
        self.supervisor_lock = self.root / "supervisor.lock"
        self.supervisor_log = self.root / "supervisor.log"

    def create(self) -> None:
        """Make the folders, readable by this user alone, also where they were not before. StateError where that cannot
        be."""
        folders = [self.root / name for name in ("queue", "sweeps", "runs", "tokens", "facts")]
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in folders:
                folder.mkdir(mode=0o700, exist_ok=True)
            if self.is_alone:
                for folder in [self.root, *folders]:
                    _tighten(folder)
        except OSError as error:
            raise StateError(
                f"the workspace cannot be made: {error.strerror}.",
                where=str(self.root),
                mend="Give another folder with --workspace or KITUI_WORKSPACE.",
            ) from None

    @property
    def is_alone(self) -> bool:
        """Whether there is nothing but the workspace in its folder: one with other things in it is somebody's home, or
        shared, and is left as it is."""
        return all(name in _NAMES or name.startswith((".state", ".probe")) for name in os.listdir(self.root))  # noqa: PTH208

    def sweep(self, name: str) -> SweepFolder:
        return SweepFolder(self.root / "sweeps" / name)

    def sweep_names(self) -> list[str]:
        folder = self.root / "sweeps"
        return sorted(p.name for p in folder.iterdir() if (p / "plan.json").exists()) if folder.is_dir() else []

    def run(self, run_id: str) -> RunFolder:
        return _run_folder(self.root, run_id)

    def run_ids(self) -> set[str]:
        """The runs that have been started, whichever way they ended: those with a folder."""
        try:
            return set(os.listdir(self.root / "runs"))  # noqa: PTH208 (a Path each for ten thousand runs takes a while)
        except FileNotFoundError:
            return set()

    def tokens(self, tokens_id: str) -> Path:
        return self.root / "tokens" / tokens_id

    def facts(self, facts_id: str) -> Path:
        return self.root / "facts" / f"{facts_id}.json"


class SweepFolder:
    """What lies in `sweeps/<name>`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sweep_toml = root / "sweep.toml"
        self.bundle = root / "bundle.json"
        self.plan = root / "plan.json"
        self.law = root / "law.json"
        self.results = root / "results.parquet"
        self.archived = root / "archived"
        self.prepared = root / "prepared.json"
        self.prepare_log = root / "prepare.log"
        self.prepare_error = root / "prepare-error.json"


class RunFolder:
    """What lies in `runs/<run_id>`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spec = root / "spec.json"
        self.launch = root / "launch.json"
        self.guard = root / "guard.json"
        self.exit = root / "exit.json"
        self.host = root / "host.json"
        self.metrics = root / "metrics.jsonl"
        self.log = root / "log.txt"
        self.lock = root / "run.lock"
        self.checkpoints = root / "checkpoints"
        self.latest = root / "latest"

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root.parent.parent)

    def result(self, evaluation_id: str) -> Path:
        """One file for each set of questions a run was scored with."""
        return self.root / f"result-{evaluation_id}.json"


def _tighten(folder: Path) -> None:
    about = folder.lstat()
    is_ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
    if is_ours and stat.S_IMODE(about.st_mode) & 0o077:
        folder.chmod(0o700)


def kept_weights(folder: RunFolder) -> Path | None:
    """The checkpoint that a run has left here with its last weights, if it has."""
    try:
        step = folder.latest.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    weights = folder.checkpoints / step
    return weights if step.isdigit() and any(weights.glob("model*.safetensors")) else None


@lru_cache(maxsize=1024)
def _run_folder(root: Path, run_id: str) -> RunFolder:
    """A supervisor asks for those of its running runs five times a second, and putting paths together takes a while."""
    return RunFolder(root / "runs" / run_id)


def remove(path: Path) -> None:
    """Out of the way at once, by its name, and then gone: a reader never sees half a folder."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    aside = path.with_name(f".deleted-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def is_locked(folder: Path) -> bool:
    """Whether a process holds a lock on it, as one does that is making it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder, as they are now; what goes away meanwhile counts nothing."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_size
        return sum(size_of(inner) for inner in path.iterdir())
    except OSError:
        return 0


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` with `content`: readers see the old file or the new one, also after a crash or on a full disk.
    `mode`: who may read it, within what the process's umask allows."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: object) -> None:
    """Replace the file by this content as a whole, as `write_atomically` does."""
    write_atomically(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n")


def read_json(path: Path) -> Any | None:
    """The JSON in a file that is replaced atomically, or None where there is none yet. DamageError where it is
    something else; StateError where it cannot be read now."""
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise DamageError(f"it cannot be read: {error}.", where=str(path)) from None
    except OSError as error:
        raise StateError(f"cannot be read: {error}.", where=str(path)) from None
