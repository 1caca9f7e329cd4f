"""State: TinyDB on a storage that survives kill −9, full disks and other readers.

Stock TinyDB rewrites its file in place. Here the truth is in the memory of the one process that holds the lock; a flush
writes all changes together to a temporary file, syncs it and renames it over `state.json`. Readers take the file as it
stands and parse it again only when it was replaced.
"""

from __future__ import annotations

import fcntl
import os
import platform
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document

from engine.control.onhost.guard import boot_id, is_alive, start_ticks
from engine.errors import StateError
from engine.records.workspace import Workspace, write_atomically

TABLES = ("sweeps", "runs", "hosts")


class AtomicStorage(Storage):
    """TinyDB storage that holds everything in memory and replaces its file as a whole on `flush`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data: dict[str, dict[str, Any]] | None = _parse(path)
        self._dirty = False

    def read(self) -> dict[str, dict[str, Any]] | None:
        return self._data

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        self._data = data
        self._dirty = True

    def flush(self) -> None:
        if self._dirty:
            write_atomically(self._path, orjson.dumps(self._data, option=orjson.OPT_NON_STR_KEYS))
            self._dirty = False


class Store:
    """The writer's view: documents by name in the tables `sweeps`, `runs` and `hosts`. One process at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self._lock = Lock(workspace)
        self._lock.acquire()
        self._storage = AtomicStorage(workspace.state)
        self._db = TinyDB(storage=lambda: self._storage)
        self._documents: dict[str, dict[str, dict[str, Any]]] = {}
        self._changed: set[str] = set()
        for table in TABLES:
            self._documents[table] = {doc["name"]: dict(doc) for doc in self._db.table(table).all()}

    @property
    def sweeps(self) -> dict[str, dict[str, Any]]:
        return self._documents["sweeps"]

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        return self._documents["runs"]

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        return self._documents["hosts"]

    def put(self, table: str, name: str, **fields: Any) -> dict[str, Any]:
        """Change fields of a document, making it if need be. Durable after the next `flush`."""
        document = self._documents[table].setdefault(name, {"name": name})
        document.update(fields)
        self._changed.add(table)
        return document

    def remove(self, table: str, name: str) -> None:
        """Take a document out, if it is there."""
        if self._documents[table].pop(name, None) is not None:
            self._changed.add(table)

    def flush(self) -> None:
        """Write everything changed since the last flush, all or nothing. OSError leaves the old file as it was."""
        for name in self._changed:
            # One write for all of a table's changes: TinyDB's own cost is that of the whole table, whatever changed.
            documents = (Document(d, doc_id=i) for i, d in enumerate(self._documents[name].values(), start=1))
            table = self._db.table(name)
            table.truncate()
            table.insert_multiple(documents)
        self._changed.clear()
        self._storage.flush()

    def close(self) -> None:
        self.flush()
        self._lock.release()


class Lock:
    """The right to write a workspace's state, held for a process's life; the file says by whom."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.supervisor_lock
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """StateError names the holder if another process has it."""
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            holder = self.holder() or {}
            raise StateError(
                f"process {holder.get('pid', '?')} on {holder.get('host', '?')} holds this workspace.",
                where=str(self._path),
                mend="Only one supervisor may write it; work on that machine, or choose another workspace.",
            ) from None
        identity = {
            "host": platform.node(),
            "pid": os.getpid(),
            "start_ticks": start_ticks(os.getpid()),
            "boot_id": boot_id(),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, orjson.dumps(identity), 0)
        os.fsync(descriptor)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> dict[str, Any] | None:
        """Who holds the lock, by the file's own words; None where nobody does. A process of this machine that has died
        holds nothing; one of another machine is believed."""
        try:
            identity = orjson.loads(self._path.read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None
        if identity["host"] == platform.node() and not is_alive(identity):
            return None
        return dict(identity)

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.release()


class State:
    """A reader's view of `state.json`, parsed again only when the file was replaced."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.state
        self._seen: tuple[int, int, int] | None = None
        self.sweeps: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.hosts: dict[str, dict[str, Any]] = {}

    def refresh(self) -> bool:
        """Take in the file as it stands; whether anything was new. StateError for a file that is not ours."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return False
        signature = (status.st_mtime_ns, status.st_ino, status.st_size)
        if signature == self._seen:
            return False
        data = _parse(self._path) or {}
        self.sweeps, self.runs, self.hosts = ({d["name"]: d for d in data.get(t, {}).values()} for t in TABLES)
        self._seen = signature
        return True


def _parse(path: Path) -> dict[str, dict[str, Any]] | None:
    try:
        data = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise StateError(
            f"not readable as state: {error}.",
            where=str(path),
            mend="Put it aside and launch the sweeps again: runs are kept.",
        ) from None
    return dict(data)
