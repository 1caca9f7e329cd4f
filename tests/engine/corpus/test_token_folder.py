"""Token folders are made by one process at a time."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.corpus.token_folder import write_token_folder
from engine.records.workspace import Workspace
from engine.spec.resolve import resolve
from tests.conftest import wait_until


def test_one_that_waits_and_is_ended_leaves_the_other_alone(
    write_sweep: Callable[..., Path], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = resolve(write_sweep()).corpus
    folder = workspace.tokens(corpus.tokens_id)
    making = folder.with_name(f".{folder.name}.making")
    go = workspace.root / "go"

    def slow(*_: object) -> list[str]:
        while not go.exists():
            time.sleep(0.05)
        from engine.corpus import documents

        return list(documents.Documents(corpus))

    monkeypatch.setattr("engine.corpus.token_folder.read_documents", slow)

    def make() -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        write_token_folder(corpus, folder)

    fork = multiprocessing.get_context("fork")
    first, second = fork.Process(target=make), fork.Process(target=make)
    first.start()
    wait_until(making.exists, 10)
    second.start()
    time.sleep(0.5)
    second.terminate()
    second.join(10)
    assert second.exitcode == 1
    assert making.exists()
    go.touch()
    first.join(60)
    assert first.exitcode == 0
    assert folder.exists()
    assert not making.exists()
