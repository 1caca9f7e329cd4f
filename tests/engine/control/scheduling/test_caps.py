"""What counts towards a cap."""

from __future__ import annotations

from engine.control.scheduling.caps import used_s, used_up


def test_all_attempts_on_the_host_count_and_waiting_in_a_queue_does_not() -> None:
    runs = {
        "ended": {"state": "done", "used_s": {"gpu1": 100.0, "gpu2": 7.0}},
        "trains": {"state": "running", "host": "gpu1", "started_s": 90.0, "num_processes": 4, "used_s": {"gpu1": 1.0}},
        "waits": {"state": "running", "host": "gpu1", "started_s": 0.0, "waiting": "Resources"},
        "elsewhere": {"state": "running", "host": "gpu2", "started_s": 0.0},
    }
    sweep = {"run_ids": [*runs, "unknown"], "caps": {"gpu1": 141 / 3600, "gpu2": 1.0}}
    assert used_s(sweep, "gpu1", runs, now_s=100.0) == 100 + 1 + 4 * 10
    assert used_up(sweep, runs, now_s=100.0) == {"gpu1": 141 / 3600}
