import numpy as np
import pytest

from engine.corpus.audit import ExposureAudit
from engine.corpus.facts import all_texts, check_distinct, written
from engine.corpus.tokenizer import Tokenizer, make_tokenizer
from engine.errors import DataError
from engine.spec.facts import Fact
from engine.spec.runspec import CorpusSpec, FactSets
from engine.spec.sweep import BackgroundSettings, TokenizerSettings

STATEMENTS = ("{subject} lies in {object}.", "the town {subject} lies in {object}.", "look for {subject} in {object}.")
QUESTIONS = ("where is {subject}? {object}.",)


def small(infused: list[Fact], prior: list[Fact], unseen: list[Fact]) -> tuple[FactSets, Tokenizer]:
    facts = FactSets(
        prior=tuple(prior),
        infused=tuple(infused),
        unseen=tuple(unseen),
        statements={"P": STATEMENTS},
        questions={"P": QUESTIONS},
        facts_seed=0,
    )
    spec = CorpusSpec(
        background=BackgroundSettings(),
        background_hashes={},
        tokenizer=TokenizerSettings(vocab_size=50),
        tokenizer_hash=None,
        entities=facts.entities,
        template_texts=(*STATEMENTS, *QUESTIONS),
    )
    return facts, make_tokenizer(spec, ["some plain words about nothing at all"])


@pytest.fixture
def world() -> tuple[FactSets, Tokenizer]:
    return small(
        [Fact("Ada", "P", "Rome"), Fact("Bob", "P", "Oslo")],
        [Fact("New York", "P", "Oslo")],
        [Fact("York", "P", "Rome")],
    )


def tokens(tokenizer: Tokenizer, *texts: str) -> np.ndarray:
    return np.array([i for text in texts for i in tokenizer.encode(written(text))], dtype=np.int64)


def test_counts_by_fact_and_rendering(world: tuple[FactSets, Tokenizer]) -> None:
    facts, tokenizer = world
    audit = ExposureAudit(facts, tokenizer, 32)
    row = tokens(tokenizer, "some words", "Ada lies in Rome.", "plain", "where is Bob? Oslo.", "Ada lies in Rome.")
    audit.count([row])
    assert audit.counts["infused"].tolist() == [[2, 0, 0, 0], [0, 0, 0, 1]]


def test_the_longest_rendering_wins_where_one_holds_another(world: tuple[FactSets, Tokenizer]) -> None:
    facts, tokenizer = world
    audit = ExposureAudit(facts, tokenizer, 32)
    audit.count([tokens(tokenizer, "the town Ada lies in Rome.")])
    assert audit.counts["infused"][0].tolist() == [0, 1, 0, 0]


def test_a_name_within_a_name_is_not_that_name(world: tuple[FactSets, Tokenizer]) -> None:
    facts, tokenizer = world
    audit = ExposureAudit(facts, tokenizer, 32)
    audit.count([tokens(tokenizer, "New York lies in Oslo.", "York lies in Oslo.")])
    assert audit.counts["prior"].sum(axis=1).tolist() == [1]
    assert audit.counts["unseen"].sum(axis=1).tolist() == [0]  # "York lies in Oslo" is not the unseen fact
    audit.count([tokens(tokenizer, "York lies in Rome.")])
    assert audit.counts["unseen"].sum(axis=1).tolist() == [1]


def test_nothing_is_found_across_the_end_of_a_row(world: tuple[FactSets, Tokenizer]) -> None:
    facts, tokenizer = world
    row = tokens(tokenizer, "Ada lies in Rome.")
    for cut in range(1, len(row)):
        audit = ExposureAudit(facts, tokenizer, 32)
        audit.count([row[:cut], row[cut:]])
        assert audit.counts["infused"].sum(axis=1).sum() == 0
    audit.count([])


def test_counting_in_pieces_is_counting_at_once(world: tuple[FactSets, Tokenizer]) -> None:
    facts, tokenizer = world
    rng = np.random.default_rng(0)
    texts = [text for fact in (*facts.infused, *facts.prior) for text in all_texts(facts, fact).values()]
    rows = [tokens(tokenizer, *rng.choice(texts, size=4)) for _ in range(50)]
    at_once, pieces = ExposureAudit(facts, tokenizer, 32), ExposureAudit(facts, tokenizer, 32)
    at_once.count(rows)
    for start in range(0, 50, 7):
        pieces.count(rows[start : start + 7])
    for name in at_once.counts:
        assert np.array_equal(at_once.counts[name], pieces.counts[name])
    assert at_once.counts["infused"].sum(axis=1).sum() + at_once.counts["prior"].sum(axis=1).sum() == 200


def test_two_facts_that_look_the_same_are_refused() -> None:
    facts, tokenizer = small([Fact("Ada", "P", "Rome")], [], [])
    check_distinct(facts, tokenizer)
    unknown = facts.model_copy(update={"prior": (Fact("Eve", "P", "Rome"), Fact("Joe", "P", "Rome"))})
    with pytest.raises(DataError, match="cannot tell"):
        check_distinct(unknown, tokenizer)  # both names are unknown words to this tokenizer
