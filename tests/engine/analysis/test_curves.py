"""Curves from observations: what `overall` is, and what is missing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.curves import gather, observation_of_counts, with_common_ceilings
from engine.analysis.simulate import simulate
from tests.engine.analysis.conftest import curve, truth

CONDITION = simulate(truth(), 0)[0].condition
counts = st.dictionaries(
    st.tuples(st.sampled_from([0, 1, 4, 16]), st.integers(0, 3), st.sampled_from(["prior", "infused"])),
    st.integers(0, 100),
    min_size=1,
)


@given(counts)
def test_overall_is_the_mean_of_prior_and_infused_run_by_run(found: dict[tuple[int, int, str], int]) -> None:
    observations = [observation_of_counts(CONDITION, f, s, name, n, 100, 4) for (f, s, name), n in found.items()]
    curves = {c.fact_set: c for c in gather(observations)}
    if not any(name == "infused" for _, _, name in found):
        assert "overall" not in curves
        return
    overall = curves["overall"]
    has_prior = any(name == "prior" for _, _, name in found)
    runs = {(f, s) for f, s, name in found if name == "infused" and (not has_prior or (f, s, "prior") in found)}
    assert {(o.frequency, o.seed) for o in overall.observations} == runs
    for o in overall.observations:
        names = ("prior", "infused") if has_prior else ("infused",)
        expected = [(found[o.frequency, o.seed, name] / 100 - 0.25) / 0.75 for name in names]
        assert o.retention == pytest.approx(sum(expected) / len(expected))


def test_rows_without_a_fact_set_are_the_overall_curve() -> None:
    made = curve([observation_of_counts(CONDITION, 4, 0, "", 50, 100, 4)])
    assert made.parts == ()
    assert [o.correct for o in made.observations] == [50]


def test_what_is_missing_is_counted_and_its_dose_shown() -> None:
    observations = [observation_of_counts(CONDITION, 4, 0, "infused", 50, 100, 4)]
    (made,) = (c for c in gather(observations, {CONDITION: {4: 2, 64: 3}}) if c.fact_set == "overall")
    assert made.frequencies == [4, 64]
    assert made.missing == {4: 2, 64: 3}


def test_a_condition_with_nothing_yet_still_has_its_curve() -> None:
    (made,) = gather([], {CONDITION: {4: 2}})
    assert (made.fact_set, made.observations, made.missing) == ("overall", (), {4: 2})


def test_ceilings_that_differ_split_no_curve() -> None:
    observations = [
        o._replace(condition=msgspec.structs.replace(o.condition, ceiling_frequency=300.0 + o.seed))
        for o in simulate(truth(), 0)
    ]
    curves = [c for c in gather(with_common_ceilings(observations)) if c.fact_set == "overall"]
    assert [c.condition.ceiling_frequency for c in curves] == [300.0]
    assert len(curves[0].at(64)) == 3
