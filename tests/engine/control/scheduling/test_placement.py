"""Where runs go, by hand and by property."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.scheduling.placement import Candidate, HostLoad, Start, place
from engine.control.slots import Slot, combined, slots_for


def cores(number: int) -> tuple[Slot, ...]:
    return tuple(Slot(f"cpu:{i}", "cpu", {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}) for i in range(number))


def gpus(number: int, each: int = 1) -> tuple[Slot, ...]:
    env = {"OMP_NUM_THREADS": "4"}
    return tuple(
        Slot(f"gpu:{i}" + (f".{turn}" if turn else ""), "gpu", env | {"CUDA_VISIBLE_DEVICES": str(i)})
        for i in range(number)
        for turn in range(each)
    )


def candidate(run_id: str, num_processes: int = 1, **seconds: float) -> Candidate:
    return Candidate("s", run_id, num_processes, seconds)


def where(starts: list[Start]) -> dict[str, tuple[str, str]]:
    return {s.run_id: (s.host, s.slot.name) for s in starts}


def test_each_goes_where_it_ends_soonest() -> None:
    loads = [HostLoad("slow", cores(2), {}), HostLoad("quick", cores(1), {})]
    candidates = [candidate(name, slow=100, quick=30) for name in "abcdef"]
    # The quick host ends three in the time of the slow one's first: two of them wait for it.
    assert where(place(candidates, loads, 0.0)) == {
        "a": ("quick", "cpu:0"), "d": ("slow", "cpu:0"), "e": ("slow", "cpu:1"),
    }  # fmt: skip


def test_a_quick_host_that_is_free_soon_is_waited_for() -> None:
    loads = [HostLoad("slow", cores(1), {}), HostLoad("quick", cores(1), {"cpu:0": 10.0})]
    assert place([candidate("a", slow=100, quick=30)], loads, 0.0) == []
    assert where(place([candidate("a", slow=35, quick=30)], loads, 0.0)) == {"a": ("slow", "cpu:0")}


def test_a_queue_counts_as_time() -> None:
    loads = [
        HostLoad("cluster", (Slot("job:0", "job", {"OMP_NUM_THREADS": "1"}),), {}, 500.0),
        HostLoad("mine", cores(1), {}),
    ]
    assert where(place([candidate("a", cluster=10, mine=300)], loads, 0.0)) == {"a": ("mine", "cpu:0")}


def test_a_run_of_several_processes_gets_its_slots_in_the_end() -> None:
    loads = [HostLoad("h", cores(2), {"cpu:0": 50.0})]
    candidates = [candidate("wide", 2, h=100), candidate("small", h=10)]
    assert place(candidates, loads, 0.0) == []  # the free core is kept for it
    starts = place(candidates, [HostLoad("h", cores(2), {})], 60.0)
    assert where(starts) == {"wide": ("h", "cpu:0+cpu:1")}
    assert starts[0].slot.num_processes == 2


def test_what_is_too_wide_for_a_host_does_not_hold_it() -> None:
    assert where(place([candidate("wide", 4, h=1), candidate("small", h=1)], [HostLoad("h", cores(2), {})], 0.0)) == {
        "small": ("h", "cpu:0")
    }


def test_processes_of_one_run_share_no_gpu() -> None:
    assert [slot.name for slot in slots_for(2, gpus(2, each=2))] == ["gpu:0", "gpu:1"]
    assert slots_for(3, gpus(2, each=2)) == []
    slot = combined(slots_for(2, gpus(3)), 2)
    assert (slot.name, slot.env["CUDA_VISIBLE_DEVICES"]) == ("gpu:0+gpu:1", "0,1")
    job = Slot("job:7", "job", {"OMP_NUM_THREADS": "4"})
    assert combined(slots_for(8, [job]), 8) == job._replace(num_processes=8)


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    runs=st.lists(st.tuples(st.integers(1, 3), st.lists(st.floats(1, 100), min_size=3, max_size=3)), max_size=12),
    busy=st.integers(0, 4),
)
def test_no_slot_is_given_twice_and_none_that_is_taken(
    sizes: list[int], runs: list[tuple[int, list[float]]], busy: int
) -> None:
    loads = [
        HostLoad(f"h{i}", cores(size), {f"cpu:{core}": 50.0 for core in range(min(busy, size))})
        for i, size in enumerate(sizes)
    ]
    candidates = [
        Candidate("s", f"r{n}", width, {load.host: each[i] for i, load in enumerate(loads)})
        for n, (width, each) in enumerate(runs)
    ]
    starts = place(candidates, loads, 0.0)
    held = [(s.host, name) for s in starts for name in s.slot.name.split("+")]
    assert len(held) == len(set(held))
    assert not {(load.host, name) for load in loads for name in load.busy_until_s} & set(held)
    widths = {c.run_id: c.num_processes for c in candidates}
    assert all(len(s.slot.name.split("+")) == widths[s.run_id] == s.slot.num_processes for s in starts)
    if not busy and candidates and candidates[0].num_processes <= max(sizes):
        assert starts[0].run_id == candidates[0].run_id  # nothing is in the first one's way
