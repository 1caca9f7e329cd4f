"""`state.json`: TinyDB on a storage that survives kill −9, full disks and other readers, and what readers see of it.

Stock TinyDB rewrites its file in place. Here the truth is in the memory of the one process that holds the lock; a flush
writes all changes together to a temporary file, syncs it and renames it over `state.json`. Readers take the file as it
stands and parse it again only when it was replaced.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson
from tinydb.storages import Storage

from engine.control.ledger.lock import STATE_FORMAT
from engine.errors import DamageError, StateError
from engine.records.record import Record
from engine.records.seals import DIGEST, check_seal, sealed
from engine.records.states import HostState, RunState, SweepState
from engine.records.workspace import Workspace, write_atomically

Json = dict[str, Any]
Tables = dict[str, dict[str, Json]]
"""As TinyDB has them: documents by number in each table."""
FORMAT_TABLE = "format"
_PUT_ASIDE = "Put it aside and launch the sweeps again: runs are kept."


class AtomicStorage(Storage):
    """TinyDB storage that holds everything in memory and replaces its file as a whole on `flush`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = read_tables(path)
        self._dirty = False
        self._texts: dict[str, dict[str, tuple[Json, bytes]]] = {}
        """By table and number, each document with its text, which holds while it is the same object."""

    def read(self) -> Tables | None:
        return self._data

    def write(self, data: Tables) -> None:
        self._data = data
        self._dirty = True

    def flush(self) -> None:
        if self._dirty:
            write_atomically(self._path, sealed(self._encoded()))
            self._dirty = False

    def _encoded(self) -> bytes:
        tables = []
        for name, documents in (self._data or {}).items():
            known = self._texts.setdefault(name, {})
            for number in known.keys() - documents.keys():
                del known[number]
            for number, document in documents.items():
                if number not in known or known[number][0] is not document:
                    known[number] = document, b'"%b":%b' % (str(number).encode(), orjson.dumps(document))
            tables.append(b'"%b":{%b}' % (name.encode(), b",".join([known[number][1] for number in documents])))
        return b"{%b}" % b",".join(tables)


class State:
    """A reader's view of `state.json`, parsed again only when the file was replaced."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.state
        self._seen: tuple[int, int, int] | None = None
        self.sweeps: dict[str, SweepState] = {}
        self.runs: dict[str, RunState] = {}
        self.hosts: dict[str, HostState] = {}

    def refresh(self) -> bool:
        """Take in the file as it stands; whether anything was new. StateError for a file that is not ours."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return False
        signature = (status.st_mtime_ns, status.st_ino, status.st_size)
        if signature == self._seen:
            return False
        found = _read_typed(self._path)
        self.sweeps = {sweep.name: sweep for sweep in found.sweeps.values()}
        self.runs = {run.name: run for run in found.runs.values()}
        self.hosts = {host.name: host for host in found.hosts.values()}
        self._seen = signature
        return True


def read_state(workspace: Workspace) -> State:
    """The state as it stands now."""
    state = State(workspace)
    state.refresh()
    return state


class _Format(Record, frozen=True, kw_only=True):
    version: int


class _Head(Record, frozen=True, kw_only=True):
    format: dict[str, _Format] = {}

    @property
    def version(self) -> int:
        return next((one.version for one in self.format.values()), 1)


class StateFile(_Head, frozen=True, kw_only=True):
    """All that is in `state.json`."""

    sweeps: dict[str, SweepState] = {}
    runs: dict[str, RunState] = {}
    hosts: dict[str, HostState] = {}


def _read_typed(path: Path) -> StateFile:
    try:
        content = path.read_bytes()
        check_seal(content, path)
        if msgspec.json.decode(content, type=_Head).version == STATE_FORMAT:
            return msgspec.json.decode(content, type=StateFile)
    except FileNotFoundError:
        return StateFile()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _not_state(path, str(error)) from None
    except DamageError as error:
        raise _not_state(path, error.what.removesuffix(".")) from None
    return typed(read_tables(path), path)


def typed(tables: Tables | None, path: Path) -> StateFile:
    """The documents of tables in today's format. StateError where one is not what it should be."""
    try:
        return msgspec.convert(tables or {}, StateFile)
    except msgspec.ValidationError as error:
        raise _not_state(path, str(error)) from None


def _not_state(path: Path, words: str) -> StateError:
    return StateError(f"not readable as state: {words}.", where=str(path), mend=_PUT_ASIDE)


def read_tables(path: Path) -> Tables | None:
    """The tables in the file, in today's format; None where there is no file yet. StateError for one that cannot be
    read, or that a newer kitui has written."""
    try:
        content = path.read_bytes()
        check_seal(content, path)
        version = msgspec.json.decode(content, type=_Head).version
        tables: Tables = orjson.loads(content)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, orjson.JSONDecodeError, UnicodeDecodeError) as error:
        raise _not_state(path, str(error)) from None
    except DamageError as error:
        raise _not_state(path, error.what.removesuffix(".")) from None
    tables.pop(DIGEST, None)
    if not tables:
        raise _not_state(path, "there is nothing in it")
    if version > STATE_FORMAT:
        raise StateError(
            f"a newer kitui has written it (format {version}; this one reads up to {STATE_FORMAT}).",
            where=str(path),
            mend="Use that kitui, or install it here.",
        )
    for step in range(version, STATE_FORMAT):
        _MIGRATIONS[step](tables)
    return tables


def _from_1(tables: Tables) -> None:
    """Format 1 left fields out that had not been needed yet, and kept no format."""
    for sweep in tables.get("sweeps", {}).values():
        for name in ("hosts", "caps", "host_faults"):
            if not sweep.get(name):
                sweep.pop(name, None)
        sweep.pop("ready_here", None)  # the plan and the token files say it
    for run in tables.get("runs", {}).values():
        run["host"] = run.get("host") or "local"
        run["attempt"] = run.get("attempt") or 0
        for name in ("waiting", "reason", "used_s", "results"):
            if run.get(name) is None:
                run.pop(name, None)
        run["requeue"], run["stop_sent"] = bool(run.get("requeue")), bool(run.get("stop_sent"))
    for host in tables.get("hosts", {}).values():
        host["drained"], host["set_aside"] = bool(host.get("drained")), host.get("set_aside") or ""
    tables[FORMAT_TABLE] = {"1": {"version": 2}}


def _from_2(tables: Tables) -> None:
    """Format 2 knew neither budgets nor `clean`; what is new may be missing."""
    tables[FORMAT_TABLE] = {"1": {"version": 3}}


_MIGRATIONS: dict[int, Callable[[Tables], None]] = {1: _from_1, 2: _from_2}
"""By the format before: what makes the next one of it, in place."""
