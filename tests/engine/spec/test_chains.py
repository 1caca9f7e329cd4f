from hypothesis import given
from hypothesis import strategies as st

from engine.spec.chains import chains, partition_of_chains
from engine.spec.facts import Fact

BORN, LIES = "born", "lies"


def world(num_people: int, num_cities: int, num_countries: int = 4) -> list[Fact]:
    people = [Fact(f"p{i}", BORN, f"c{i % num_cities}") for i in range(num_people)]
    return people + [Fact(f"c{i}", LIES, f"land{i % num_countries}") for i in range(num_cities)]


def test_facts_that_meet_are_a_chain() -> None:
    first, second = Fact("Ada", BORN, "London"), Fact("London", LIES, "England")
    (chain,) = chains([first, second], {}, {BORN, LIES})
    assert chain == (first, second)
    assert chain.composed == Fact("Ada", "born → lies", "England")
    assert chains([first, second], {}, {LIES}) == []  # nothing describes a birthplace


def test_what_cannot_be_asked_is_no_chain() -> None:
    born, lies = Fact("Ada", BORN, "London"), Fact("London", LIES, "England")
    assert chains([born, lies], {BORN: {"Ada": ("London", "Paris")}}, {BORN}) == []  # where does Paris lie?
    assert chains([Fact("Ada of England", BORN, "London"), lies], {}, {BORN}) == []  # the question says it
    assert chains([Fact("Ada", "wed", "Bo"), Fact("Bo", "wed", "Ada")], {}, {"wed"}) == []


@given(st.integers(6, 60), st.integers(2, 30), st.integers(0, 20), st.integers(1, 20), st.integers(0, 9))
def test_sets_are_as_large_as_asked_and_disjoint(people: int, cities: int, prior: int, infused: int, seed: int) -> None:
    facts = world(people, cities)
    sizes = {"num_prior": min(prior, len(facts) // 3), "num_infused": min(infused, len(facts) // 3), "num_unseen": 2}
    found = chains(facts, {}, {BORN})
    drawn = partition_of_chains(found, facts, **sizes, facts_seed=seed)
    assert [len(members) for members in drawn] == list(sizes.values())
    members = [fact for of_set in drawn for fact in of_set]
    assert len({*members}) == len(members)
    assert {*members} <= {*facts}
    again = partition_of_chains(list(reversed(found)), list(reversed(facts)), **sizes, facts_seed=seed)
    assert [sorted(of_set) for of_set in again] == [sorted(of_set) for of_set in drawn]


def test_both_facts_of_a_chain_are_in_one_set() -> None:
    facts = world(400, 100)
    drawn = partition_of_chains(
        chains(facts, {}, {BORN}), facts, num_prior=80, num_infused=40, num_unseen=40, facts_seed=1
    )
    for members in drawn:
        assert len(chains(members, {}, {BORN})) >= 0.45 * len(members)


def test_where_second_facts_are_few_many_first_facts_share_them() -> None:
    facts = world(400, 12)
    drawn = partition_of_chains(
        chains(facts, {}, {BORN}), facts, num_prior=80, num_infused=40, num_unseen=40, facts_seed=1
    )
    for members in drawn:
        assert len(chains(members, {}, {BORN})) >= 0.8 * len(members)
