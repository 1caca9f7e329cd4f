"""What counts towards a cap."""

from __future__ import annotations

from engine.control.scheduling.caps import used_s, used_up
from engine.records.states import ALL_HOSTS
from tests.factory import make_run, make_sweep


def test_all_attempts_on_the_host_count_and_waiting_in_a_queue_does_not() -> None:
    runs = {
        "ended": make_run("ended", "done", used_s={"gpu1": 100.0, "gpu2": 7.0}),
        "trains": make_run("trains", "running", host="gpu1", started_s=90.0, num_processes=4, used_s={"gpu1": 1.0}),
        "waits": make_run("waits", "running", host="gpu1", started_s=0.0, waiting="Resources"),
        "elsewhere": make_run("elsewhere", "running", host="gpu2", started_s=0.0),
    }
    sweep = make_sweep([*runs, "unknown"], caps={"gpu1": 141 / 3600, "gpu2": 1.0})
    assert used_s(sweep, "gpu1", runs, now_s=100.0) == 100 + 1 + 4 * 10
    assert used_up(sweep, runs, now_s=100.0) == {"gpu1": 141 / 3600}


def test_a_cap_on_all_hosts_together_counts_what_was_taken_anywhere() -> None:
    runs = {
        "ended": make_run("ended", "done", used_s={"gpu1": 100.0, "gpu2": 7.0}),
        "trains": make_run("trains", "running", host="gpu1", started_s=90.0, num_processes=4),
    }
    sweep = make_sweep([*runs], caps={ALL_HOSTS: 147 / 3600, "gpu1": 1.0})
    assert used_s(sweep, ALL_HOSTS, runs, now_s=100.0) == 147
    assert used_up(sweep, runs, now_s=100.0) == {ALL_HOSTS: 147 / 3600}
    assert used_up(sweep, runs, now_s=99.0) == {}
