import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.spec.facts import Fact
from engine.spec.neighbours import partition_of_neighbours, shared


def portraits(num_subjects: int, relations: tuple[str, ...] = ("born", "works")) -> list[Fact]:
    return [Fact(f"s{i}", relation, f"{relation} {i % 8}") for i in range(num_subjects) for relation in relations]


def test_half_of_the_prior_facts_lie_beside_infused_ones_though_few_would_by_chance() -> None:
    facts = portraits(5_000)
    drawn = partition_of_neighbours("subject", facts, num_prior=80, num_infused=40, num_unseen=40, facts_seed=1)
    assert [*map(len, drawn)] == [80, 40, 40]
    infused = {fact.subject for fact in drawn.infused}
    assert sum(fact.subject in infused for fact in drawn.prior) == 30
    assert sum(fact.subject in infused for fact in drawn.unseen) == 10
    plenty = portraits(5_000, ("born", "works", "died", "plays"))
    drawn = partition_of_neighbours("subject", plenty, num_prior=80, num_infused=40, num_unseen=40, facts_seed=1)
    infused = {fact.subject for fact in drawn.infused}
    assert len(infused) == 40
    assert [sum(fact.subject in infused for fact in members) for members in (drawn.prior, drawn.unseen)] == [40, 20]


def test_where_facts_share_objects_half_of_those_are_left_alone() -> None:
    facts = portraits(400, ("born",))
    drawn = partition_of_neighbours(
        "object", facts, num_prior=80, num_infused=40, num_unseen=40, facts_seed=1, facts_per_block=4
    )
    infused = {fact.object for fact in drawn.infused}
    assert len(infused) == 4
    for members in (drawn.prior, drawn.unseen):
        assert sum(fact.object in infused for fact in members) == len(members) // 2


@given(
    st.integers(2, 30), st.integers(0, 9), st.integers(1, 9), st.integers(0, 9), st.sampled_from(["subject", "object"])
)
def test_sets_are_disjoint_and_as_large_as_asked(subjects: int, prior: int, infused: int, unseen: int, by: str) -> None:
    facts = portraits(subjects)
    sizes = {"num_prior": prior, "num_infused": infused, "num_unseen": unseen}
    if prior + infused + unseen > len(facts):
        with pytest.raises(DataError, match="are wanted"):
            partition_of_neighbours(by, facts, **sizes, facts_seed=0)  # type: ignore[arg-type]
        return
    drawn = partition_of_neighbours(by, facts, **sizes, facts_seed=0)  # type: ignore[arg-type]
    assert [*map(len, drawn)] == [prior, infused, unseen]
    members = [fact for of_set in drawn for fact in of_set]
    assert len({*members}) == len(members)
    again = partition_of_neighbours(by, facts[::-1], **sizes, facts_seed=0)  # type: ignore[arg-type]
    assert [sorted(of_set) for of_set in again] == [sorted(of_set) for of_set in drawn]


def test_an_object_is_shared_within_its_relation() -> None:
    one, other = Fact("a", "born", "Rome"), Fact("b", "died", "Rome")
    assert shared(one, "object") != shared(other, "object")
    assert shared(one, "subject") != shared(other, "subject")
