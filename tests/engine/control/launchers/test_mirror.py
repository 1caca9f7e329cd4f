"""Files that grow on one host, then on another, then on the first again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.launchers import mirror

NAME = "metrics.jsonl"


def pull(folder: Path, there: dict[str, bytes], host: str, limit: int) -> None:
    """What a poll does."""
    offset = mirror.offsets(folder, mirror.base_of(folder))[NAME]
    mirror.append(folder, {NAME: there[host][offset : offset + limit]})


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 4), st.booleans()), max_size=12), st.integers(1, 30))
def test_every_line_of_every_host_comes_over_once(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int, bool]], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    there = {"A": b"", "B": b""}
    written = []
    for host, num_lines, all_of_it in moves:
        mirror.begin(folder, host)
        for _ in range(num_lines):
            written.append(f"line {len(written)} of {host}".encode())
            there[host] += written[-1] + b"\n"
        for _ in range(100 if all_of_it else 2):
            pull(folder, there, host, limit)
    for host in "AB":
        mirror.begin(folder, host)
        for _ in range(100):
            pull(folder, there, host, limit)
    lines = (folder / NAME).read_bytes().split(b"\n") if moves else []
    whole = [line for line in lines if line in written]
    assert set(whole) == set(written) or any(not moved[2] for moved in moves)
    assert len(whole) == len(set(whole))
