"""A run's files as they grow on a host, here: byte for byte, from wherever they stand.

`host.json` says whose lines come now, where in each file here the host's own begins (`base`), and how many bytes of
other hosts' files have come over before (`known`), for a run may move and come back.
"""

from __future__ import annotations

import os
from pathlib import Path

from engine.records.processes import MirrorRecord
from engine.records.record import plain, read_record
from engine.records.workspace import RunFolder, write_json

MIRRORED = ("metrics.jsonl", "log.txt")
_HOST = RunFolder(Path()).host.name


def begin(folder: Path, host: str) -> None:
    """From here on it is this host's files that grow. A line that another one has left unfinished is ended first."""
    before = read_record(MirrorRecord, folder / _HOST)
    if before is not None and before.host == host:
        return
    known = dict(before.known) if before else {}
    if before:
        known[before.host] = {name: _size(folder, name) - before.base.get(name, 0) for name in MIRRORED}
    base = {}
    for name in MIRRORED:
        path = folder / name
        if _size(folder, name) and not path.read_bytes().endswith(b"\n"):
            with path.open("ab") as handle:
                handle.write(b"\n")
        base[name] = _size(folder, name) - known.get(host, {}).get(name, 0)
    write_json(folder / _HOST, plain(MirrorRecord(host=host, base=base, known=known)))


def base_of(folder: Path) -> dict[str, int]:
    """Where in the files here those of the host begin."""
    found = read_record(MirrorRecord, folder / _HOST)
    return found.base if found is not None else {}


def offsets(folder: Path, base: dict[str, int]) -> dict[str, int]:
    """How many bytes of each file of the host are here."""
    return {name: max(0, _size(folder, name) - base.get(name, 0)) for name in MIRRORED}


def append(folder: Path, tails: dict[str, bytes]) -> None:
    """Add to the files of a run's folder what came from its host."""
    for name, data in tails.items():
        with open(f"{folder}/{name}", "ab") as handle:
            handle.write(data)


def _size(folder: Path, name: str) -> int:
    try:
        return os.stat(f"{folder}/{name}").st_size
    except FileNotFoundError:
        return 0
