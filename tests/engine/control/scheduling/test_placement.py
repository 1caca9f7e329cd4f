"""Where runs go, by hand and by property."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.launchers.base import Slot, combined, slots_for
from engine.control.scheduling.placement import Placed, Room, Wish, place


def cores(number: int) -> tuple[Slot, ...]:
    return tuple(Slot(f"cpu:{i}", "cpu", {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}) for i in range(number))


def gpus(number: int, each: int = 1) -> tuple[Slot, ...]:
    env = {"OMP_NUM_THREADS": "4"}
    return tuple(
        Slot(f"gpu:{i}" + (f".{turn}" if turn else ""), "gpu", env | {"CUDA_VISIBLE_DEVICES": str(i)})
        for i in range(number)
        for turn in range(each)
    )


def wish(run_id: str, num_processes: int = 1, **seconds: float) -> Wish:
    return Wish("s", run_id, num_processes, seconds)


def where(placed: list[Placed]) -> dict[str, tuple[str, str]]:
    return {p.run_id: (p.host, p.slot.name) for p in placed}


def test_each_goes_where_it_ends_soonest() -> None:
    rooms = [Room("slow", cores(2), {}), Room("quick", cores(1), {})]
    wishes = [wish(name, slow=100, quick=30) for name in "abcdef"]
    # The quick host ends three in the time of the slow one's first: two of them wait for it.
    assert where(place(wishes, rooms, 0.0)) == {
        "a": ("quick", "cpu:0"), "d": ("slow", "cpu:0"), "e": ("slow", "cpu:1"),
    }  # fmt: skip


def test_a_quick_host_that_is_free_soon_is_waited_for() -> None:
    rooms = [Room("slow", cores(1), {}), Room("quick", cores(1), {"cpu:0": 10.0})]
    assert place([wish("a", slow=100, quick=30)], rooms, 0.0) == []
    assert where(place([wish("a", slow=35, quick=30)], rooms, 0.0)) == {"a": ("slow", "cpu:0")}


def test_a_queue_counts_as_time() -> None:
    rooms = [
        Room("cluster", (Slot("job:0", "slurm", {"OMP_NUM_THREADS": "1"}),), {}, 500.0),
        Room("mine", cores(1), {}),
    ]
    assert where(place([wish("a", cluster=10, mine=300)], rooms, 0.0)) == {"a": ("mine", "cpu:0")}


def test_a_run_of_several_processes_gets_its_slots_in_the_end() -> None:
    rooms = [Room("h", cores(2), {"cpu:0": 50.0})]
    wishes = [wish("wide", 2, h=100), wish("small", h=10)]
    assert place(wishes, rooms, 0.0) == []  # the free core is kept for it
    placed = place(wishes, [Room("h", cores(2), {})], 60.0)
    assert where(placed) == {"wide": ("h", "cpu:0+cpu:1")}
    assert placed[0].slot.num_processes == 2


def test_what_is_too_wide_for_a_host_does_not_hold_it() -> None:
    assert where(place([wish("wide", 4, h=1), wish("small", h=1)], [Room("h", cores(2), {})], 0.0)) == {
        "small": ("h", "cpu:0")
    }


def test_processes_of_one_run_share_no_gpu() -> None:
    assert [slot.name for slot in slots_for(2, gpus(2, each=2))] == ["gpu:0", "gpu:1"]
    assert slots_for(3, gpus(2, each=2)) == []
    slot = combined(slots_for(2, gpus(3)), 2)
    assert (slot.name, slot.env["CUDA_VISIBLE_DEVICES"]) == ("gpu:0+gpu:1", "0,1")
    job = Slot("job:7", "slurm", {"OMP_NUM_THREADS": "4"})
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
    rooms = [
        Room(f"h{i}", cores(size), {f"cpu:{c}": 50.0 for c in range(min(busy, size))}) for i, size in enumerate(sizes)
    ]
    wishes = [
        Wish("s", f"r{n}", width, {room.host: each[i] for i, room in enumerate(rooms)})
        for n, (width, each) in enumerate(runs)
    ]
    placed = place(wishes, rooms, 0.0)
    held = [(p.host, name) for p in placed for name in p.slot.name.split("+")]
    assert len(held) == len(set(held))
    assert not {(r.host, name) for r in rooms for name in r.busy_until_s} & set(held)
    widths = {w.run_id: w.num_processes for w in wishes}
    assert all(len(p.slot.name.split("+")) == widths[p.run_id] == p.slot.num_processes for p in placed)
    if not busy and wishes and wishes[0].num_processes <= max(sizes):
        assert placed[0].run_id == wishes[0].run_id  # nothing is in the first one's way
