"""What stands in the text is found as a plain search of the documents finds it."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.corpus import contamination as module
from engine.corpus.background import open_background, write_background
from engine.corpus.contamination import contamination
from engine.corpus.tokenizer import make_tokenizer
from engine.records.plan import Contamination
from engine.spec.facts import Fact, holds_words
from engine.spec.own_questions import OwnQuestion
from engine.spec.runspec import CorpusSpec, FactSets
from engine.spec.sweep import BackgroundSettings, TokenizerSettings

NAMES = [f"{first} {last}" for first in ("Ada", "Bo", "Cy", "Di") for last in ("Long", "Short", "Longfellow")]
PLACES = ["Rome", "Romer", "Newelsa", "Elsa", "Ur"]
FILLER = [
    "the",
    "of",
    "and",
    "one",
    "lies",
    "in",
    "was",
    "by",
    "a",
    "river",
    "near",
    "some",
    "hill",
    "where",
    "people",
    "went",
    "to",
    "work",
    "each",
    "day",
]


def facts_of(infused: list[Fact], unseen: list[Fact] | None = None, **more: object) -> FactSets:
    templates = {"P": ("{subject} lies in {object}.",)}
    return FactSets(
        prior=(), infused=tuple(infused), unseen=tuple(unseen or []), facts_seed=0,
        statements=templates, questions=templates, **more,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(params=["word", "bpe"])
def found(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., list[Contamination]]:
    """What is found of facts in documents of which so many of the last tokens are held out."""

    def found(facts: FactSets, documents: list[str], heldout_tokens: int = 1) -> list[Contamination]:
        path = tmp_path / "text.jsonl"
        path.write_text("".join(f'{{"text": "{document}"}}\n' for document in documents))
        spec = CorpusSpec(
            background=BackgroundSettings(source="files", path=(str(path),), heldout_tokens=heldout_tokens),
            background_hashes={}, tokenizer=TokenizerSettings(kind=request.param, vocab_size=300), tokenizer_hash=None,
            entities=facts.entities if request.param == "word" else (), template_texts=(), cut=2,
        )  # fmt: skip
        tokenizer = make_tokenizer(spec, documents)
        write_background(spec, tokenizer, tmp_path)
        return [*contamination(facts, tokenizer, open_background(tmp_path))]

    return found


def test_a_fact_is_found_where_both_names_stand(found: Callable[..., list[Contamination]]) -> None:
    fact, other = Fact("Ada Long", "P", "Rome"), Fact("Bo Short", "P", "Elsa")
    documents = [
        "It is said that Ada Long went to Rome.",
        "In Rome, there was Ada Long. " + "x y z. " * 40 + "Bo Short",
    ]
    infused, unseen = found(facts_of([fact], [other]), documents)
    assert (infused.of, infused.num_looked_for, infused.num_in_background, infused.num_passages) == ("infused", 1, 1, 2)
    assert (unseen.num_in_background, unseen.num_passages, unseen.num_in_heldout) == (0, 0, 0)


def test_other_words_other_documents_and_far_away_do_not_count(found: Callable[..., list[Contamination]]) -> None:
    fact = Fact("Ada Long", "P", "Rome")
    far = f"Ada Long {'and so on ' * 60} Rome"
    (infused,) = found(facts_of([fact]), ["Ada Longfellow in Rome", "Ada Long in Romer", "Ada Long", "Rome", far])
    assert infused.num_in_background == 0


def test_one_name_within_the_other_is_no_passage(found: Callable[..., list[Contamination]]) -> None:
    facts = facts_of([Fact("Mexico", "P", "Mexico City"), Fact("Rome", "P", "Old Rome")])
    (infused,) = found(
        facts, ["She flew to Mexico City.", "In Mexico lies Mexico City, they say.", "Old Rome was old."]
    )
    assert (infused.num_in_background, infused.num_passages) == (1, 1)


def test_long_names_are_found(found: Callable[..., list[Contamination]]) -> None:
    title = "The long and winding history of the people who lived by the river near some hill, and of their work"
    fact = Fact(f"{title}, volume {'i' * 40}", "P", f"Rome {'v' * 40}")
    (infused,) = found(facts_of([fact]), ["Some text.", f"They read {fact.subject} in {fact.object}."])
    assert (infused.num_in_background, infused.num_passages) == (1, 1)


def test_names_in_scripts_without_blanks_are_said_not_to_be_looked_for(
    found: Callable[..., list[Contamination]], request: pytest.FixtureRequest
) -> None:
    fact = Fact("人物一", "P", "阿尔德")
    if request.node.callspec.params["found"] == "word":
        pytest.skip("the word tokenizer takes no such names")
    (infused,) = found(facts_of([fact]), ["人物一住在阿尔德。"] * 9)
    assert (infused.num_looked_for, infused.num_passed_over, infused.num_in_background) == (0, 1, 0)


def test_the_held_out_text_is_counted_apart(found: Callable[..., list[Contamination]]) -> None:
    fact = Fact("Ada Long", "P", "Rome")
    (infused,) = found(facts_of([fact]), ["Some text without it. " * 5, "Ada Long in Rome"], heldout_tokens=12)
    assert (infused.num_in_background, infused.num_in_heldout) == (0, 1)


def test_questions_of_ones_own_are_found_by_their_n_grams(found: Callable[..., list[Contamination]]) -> None:
    asked = "where was the old river near some hill that people went to each day"
    own = (
        OwnQuestion("Ada Long", asked, ("a", "b"), 0),
        OwnQuestion("Ada Long", "what is none of this at all", ("a",), 0),
    )
    facts = facts_of([Fact("Ada Long", "P", "Rome")], own_questions=own)
    *_, questions = found(facts, ["Nothing. " * 20, f"As they ask: {asked}, and so on."])
    assert (questions.of, questions.num_looked_for, questions.num_in_background) == ("questions", 2, 1)
    short = (OwnQuestion("Ada Long", "Where was the first king of Norway born", ("a",), 0),)
    facts_with_short = facts_of([Fact("Ada Long", "P", "Rome")], own_questions=short)
    *_, questions = found(facts_with_short, ["Nothing. " * 20, f"They asked: {short[0].question}?"] * 9)
    assert questions.num_in_background == 1
    *_, questions = found(facts, ["Nothing. " * 20, "where was the old river? people went to work each day"])
    assert questions.num_in_background == 0  # less than seven in ten of its runs


def test_texts_are_found_by_their_n_grams(found: Callable[..., list[Contamination]]) -> None:
    texts = {
        "L1": "some people went to the old hill near the river each day",
        "L2": "one lies in a hill by the river of work",
    }
    facts = facts_of([Fact("L1", "text", ""), Fact("L2", "text", "")], texts=texts)
    (infused,) = found(facts, ["Nothing. " * 20, f"So {texts['L1']}. Done"])
    assert (infused.num_looked_for, infused.num_in_background, infused.num_passages) == (2, 1, None)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_chunks_a_plain_search_says_the_same(
    found: Callable[..., list[Contamination]], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Documents shorter than the window: every passage that a search by words finds in one is counted."""
    draw = random.Random(seed)
    documents = []
    for _ in range(200):
        words = draw.choices(FILLER, k=draw.randint(0, 4))
        for _ in range(draw.randint(0, 2)):
            words.insert(draw.randint(0, len(words)), draw.choice([*NAMES, *PLACES]))
        documents.append(" ".join(words) + ".")
    facts = [Fact(name, "P", place) for name in NAMES for place in PLACES if name not in place]
    monkeypatch.setattr(module, "_CHUNK_TOKENS", 100)
    (infused,) = found(facts_of(facts), documents)
    expected = {
        fact for fact in facts for document in documents
        if holds_words(document, fact.subject) and holds_words(document, fact.object)
    }  # fmt: skip
    assert expected
    # A passage for each mention of the subject.
    num_passages = sum(
        document.count(fact.subject)
        for fact in facts for document in documents
        if holds_words(document, fact.subject) and holds_words(document, fact.object)
    )  # fmt: skip
    assert infused.num_in_background == len(expected)
    assert infused.num_passages == num_passages
