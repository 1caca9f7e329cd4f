"""The mixture: exact D and F, paired backgrounds, dilution, neutral fill, stages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.corpus.audit import ExposureAudit
from engine.corpus.background import open_background
from engine.corpus.facts import infused_renderings, prior_renderings
from engine.corpus.mixture import Mixture, Row, tokens_on_top
from engine.corpus.tokenizer import load_tokenizer
from engine.spec import fact_sets
from engine.spec.runspec import RunSpec
from engine.spec.sweep import StagesSettings
from tests.conftest import Prepared


class Streams:
    """Mixtures of the smoke sweep, with settings changed."""

    def __init__(self, smoke: Prepared) -> None:
        self.facts = smoke.bundle.facts
        folder = smoke.workspace.tokens(smoke.bundle.plan.tokens_id)
        self.tokenizer, self.background = load_tokenizer(folder), open_background(folder)
        self.spec = smoke.bundle.runs[0]

    def of(
        self, *, stages: StagesSettings | None = None, mixture: dict[str, Any] | None = None, **changes: Any
    ) -> Mixture:
        spec = self.changed(stages=stages, mixture=mixture, **changes)
        return Mixture(
            spec,
            self.background,
            prior_renderings(self.facts, spec, self.tokenizer),
            infused_renderings(self.facts, spec.num_templates, self.tokenizer, 32),
        )

    def changed(self, *, stages: StagesSettings | None, mixture: dict[str, Any] | None, **changes: Any) -> RunSpec:
        settings = self.spec.mixture.model_copy(update=mixture or {})
        return self.spec.model_copy(update={"mixture": settings, "stages": stages, **changes})

    def audit(self, rows: list[Row]) -> ExposureAudit:
        audit = ExposureAudit(self.facts, self.tokenizer, 32)
        audit.count([row.tokens for row in rows])
        return audit

    def planned(self, rows: list[Row]) -> dict[str, np.ndarray]:
        counts = {name: np.zeros_like(c) for name, c in ExposureAudit(self.facts, self.tokenizer, 32).counts.items()}
        for row in rows:
            for exposure in row.exposures:
                counts[exposure.fact_set][exposure.fact, exposure.rendering] += 1
        return counts


@pytest.fixture(scope="module")
def streams(smoke: Prepared) -> Streams:
    return Streams(smoke)


def rows_of(mixture: Mixture) -> list[Row]:
    return [mixture.row(i) for i in range(mixture.num_rows)]


APPEND = {"kind": "append"}
TWO_STAGES = StagesSettings(learning_rate=1e-3, replay_share=0.25)
VARIANTS: dict[str, dict[str, Any]] = {
    "displace": {"frequency": 30},
    "displace, three templates": {"frequency": 20, "num_templates": 3},
    "displace at F = 0": {"frequency": 0},
    "displace, odd D": {"frequency": 12, "num_tokens": 20_017},
    "neutral": {"frequency": 30, "mixture": {"fill": "neutral"}},
    "append": {"frequency": 30, "mixture": APPEND},
    "append, odd D": {"frequency": 7, "num_tokens": 20_017, "num_templates": 2, "mixture": APPEND},
    "append, neutral": {"frequency": 30, "mixture": APPEND | {"fill": "neutral"}},
    "two stages": {"frequency": 30, "mixture": APPEND, "stages": TWO_STAGES},
    "two stages without replay": {
        "frequency": 9,
        "mixture": APPEND,
        "stages": StagesSettings(learning_rate=1e-3, replay_share=0),
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_exactly_d_tokens_and_the_audit_finds_exactly_the_plan(streams: Streams, variant: str) -> None:
    changes = VARIANTS[variant]
    mixture = streams.of(**changes)
    rows = rows_of(mixture)
    num_tokens = changes.get("num_tokens", 20_000)
    assert sum(len(row.tokens) for row in rows) == mixture.total_tokens
    spec = streams.changed(**({"stages": None, "mixture": None} | changes))
    renderings = infused_renderings(streams.facts, spec.num_templates, streams.tokenizer, 32)
    assert mixture.total_tokens == num_tokens + tokens_on_top(spec, renderings)
    if spec.mixture.kind == "displace":
        assert mixture.total_tokens == num_tokens
    assert max(len(row.tokens) for row in rows) <= 32

    audit, planned = streams.audit(rows), streams.planned(rows)
    for name in fact_sets.DRAWN:
        assert np.array_equal(audit.counts[name], planned[name]), name
    written = 0 if spec.mixture.fill == "neutral" else spec.frequency
    assert set(audit.counts["infused"].sum(axis=1).tolist()) == {written}
    assert audit.counts["unseen"].sum(axis=1).sum() == 0


def test_infused_facts_are_never_written_as_questions(streams: Streams) -> None:
    rows = rows_of(streams.of(frequency=30, num_templates=3))
    counts = streams.audit(rows).counts["infused"]
    assert counts[:, :3].sum() == counts.sum()
    assert (counts[:, :3] == 10).all()  # three templates take turns


def test_prior_facts_take_turns_in_statements_and_the_question(streams: Streams) -> None:
    counts = streams.audit(rows_of(streams.of(frequency=0))).counts["prior"]
    assert counts.sum(axis=1).tolist() == [16] * len(counts)  # 800 a million tokens, 20k tokens
    used = counts[:, [0, 1, 2, -1]]
    assert used.sum() == counts.sum()
    assert (used == 4).all()


def test_the_same_position_carries_the_same_background_at_every_dose(streams: Streams) -> None:
    """Where nothing infused lies and no prior fact was lost, two doses of one seed agree token for token."""
    low, high = streams.of(frequency=0), streams.of(frequency=40)
    for index in range(low.num_rows):
        without, with_infused = low.row(index), high.row(index)
        lost = {e for e in without.exposures if e.fact_set == "prior"} - set(with_infused.exposures)
        changed = without.tokens != with_infused.tokens
        stretches = np.zeros(len(changed), dtype=bool)
        for placed in [*high.infused.row(index), *(p for p in low.prior.row(index))]:
            is_prior = placed in low.prior.row(index)
            if not is_prior or any((placed.fact) == e.fact for e in lost):
                stretches[placed.offset : placed.offset + placed.length] = True
        assert not (changed & ~stretches).any()


def test_prior_facts_thin_out_as_f_grows_and_whole_exposures_go(streams: Streams) -> None:
    means = []
    for frequency in (0, 10, 30, 60, 75):
        rows = rows_of(streams.of(frequency=frequency))
        audit, planned = streams.audit(rows), streams.planned(rows)
        assert np.array_equal(audit.counts["prior"], planned["prior"])
        means.append(audit.counts["prior"].sum(axis=1).mean())
    assert means == sorted(means, reverse=True)
    assert means[0] == 16
    assert means[-1] < 2


def test_neutral_fill_lies_on_the_very_same_stretches(streams: Streams) -> None:
    infused, neutral = streams.of(frequency=40), streams.of(frequency=40, mixture={"fill": "neutral"})
    for index in range(infused.num_rows):
        a, b = infused.row(index), neutral.row(index)
        outside = np.ones(len(a.tokens), dtype=bool)
        for placed in infused.infused.row(index):
            outside[placed.offset : placed.offset + placed.length] = False
        assert np.array_equal(a.tokens[outside], b.tokens[outside])
        assert [e for e in a.exposures if e.fact_set == "prior"] == b.exposures


def test_seeds_vary_the_order_and_nothing_else(streams: Streams) -> None:
    rows = {seed: rows_of(streams.of(frequency=20, seed=seed)) for seed in (0, 1)}
    assert not all(np.array_equal(a.tokens, b.tokens) for a, b in zip(rows[0], rows[1], strict=True))
    for of_seed in rows.values():
        assert set(streams.audit(of_seed).counts["infused"].sum(axis=1).tolist()) == {20}


def test_appending_leaves_the_background_rows_as_they_are(streams: Streams) -> None:
    plain = rows_of(streams.of(frequency=0, mixture=APPEND))
    mixture = streams.of(frequency=30, mixture=APPEND)
    background = [row for row in rows_of(mixture) if not any(e.fact_set == "infused" for e in row.exposures)]
    assert len(background) == len(plain)
    assert all(np.array_equal(a.tokens, b.tokens) for a, b in zip(plain, background, strict=True))
    # Spread among the background, not at its end.
    places = [i for i in range(mixture.num_rows) if any(e.fact_set == "infused" for e in mixture.row(i).exposures)]
    assert np.mean(places) == pytest.approx(mixture.num_rows / 2, rel=0.05)


def test_two_stages_infuse_after_the_background_with_the_share_of_replay_asked_for(streams: Streams) -> None:
    mixture = streams.of(frequency=30, mixture=APPEND, stages=TWO_STAGES)
    rows = rows_of(mixture)
    first, second = rows[: mixture.stage_two_row], rows[mixture.stage_two_row :]
    assert sum(len(r.tokens) for r in first) == 20_000
    assert not any(e.fact_set == "infused" for r in first for e in r.exposures)
    replayed = [r for r in second if not any(e.fact_set == "infused" for e in r.exposures)]
    share = sum(len(r.tokens) for r in replayed) / sum(len(r.tokens) for r in second)
    assert share == pytest.approx(0.25, abs=0.01)
    originals = {r.tokens.tobytes() for r in first}
    assert all(r.tokens.tobytes() in originals for r in replayed)


def test_background_epochs_are_said(streams: Streams) -> None:
    mixture = streams.of(frequency=0, num_tokens=120_000)
    assert mixture.background_epochs == pytest.approx(120_000 / streams.background.num_tokens, rel=0.01)
    assert mixture.background_epochs > 1  # the text repeats, in another order
    length = streams.background.num_tokens // 32
    epochs = [[mixture._text_row(r)[:6].tolist() for r in range(e * length, e * length + 5)] for e in (0, 1)]
    assert epochs[0] != epochs[1]
