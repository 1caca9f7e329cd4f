"""Being called when a sweep ends, fails or stalls."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from engine.records.status import StatusDocument, SupervisorStatus, SweepStatus
from kitui.services.telling import Happening, happenings, run_own_command, terminal_notice
from tests.conftest import wait_until
from tests.kitui.services.test_sweep_list import sweep


def document(*rows: SweepStatus) -> StatusDocument:
    return StatusDocument(sweeps=rows, supervisor=SupervisorStatus(alive=True, pid=1), hosts=())


def between(before: SweepStatus, now: SweepStatus) -> list[Happening]:
    return happenings(document(before), document(now))


def test_an_end_is_told_once_with_what_failed() -> None:
    (end,) = between(sweep(done=3, running=1), sweep(done=3, failed=1))
    assert (end.kind, end.words) == ("ended", "laptop ended: 3 of 4 done, 1 in trouble")
    assert between(sweep(done=4), sweep(done=4)) == []
    assert between(sweep(done=3, running=1), sweep(done=3, paused=1)) == []  # held, and not over


def test_failures_and_first_alerts_are_told() -> None:
    (failed,) = between(sweep(done=2, running=2), sweep(done=2, running=1, failed=1))
    assert (failed.kind, failed.words) == ("fails", "laptop: 1 run failed")
    running = sweep(done=2, running=2)
    (stalled,) = between(running, msgspec.structs.replace(running, alerts=("a: no progress since 2026-11-27 10:00",)))
    assert (stalled.kind, stalled.words) == ("stalls", "laptop: a: no progress since 2026-11-27 10:00")


def test_a_sweep_that_is_new_is_no_happening() -> None:
    assert happenings(document(), document(sweep(done=1))) == []


def test_a_terminal_is_sent_a_bell_and_notifications_without_orders_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    notice = terminal_notice("ended; \x1b]52;c;evil\a")
    assert notice.startswith("\a\x1b]9;ended, ")
    assert "]52;" not in notice
    assert notice.count("\x1b") == 2
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    assert terminal_notice("ended").count("\x1bPtmux;\x1b\x1b]") == 2


def test_a_command_of_ones_own_gets_what_happened_as_arguments(tmp_path: Path) -> None:
    script, out = tmp_path / "told.py", tmp_path / "told"
    script.write_text(f"import sys, pathlib; pathlib.Path({str(out)!r}).write_text('|'.join(sys.argv[1:]))")
    run_own_command(f"{sys.executable} {script} 'an argument'", Happening("ended", "a; rm -rf /", "a $(b) ended"))
    wait_until(lambda: out.exists() and out.read_text(), 20)
    assert out.read_text() == "an argument|ended|a; rm -rf /|a $(b) ended"
    with pytest.raises(OSError, match="nowhere"):
        run_own_command("/nowhere/at-all", Happening("ended", "a", "b"))
