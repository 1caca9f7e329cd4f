import pytest
from pydantic import ValidationError

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions import KINDS
from engine.spec.runspec import FactSets, evaluation_identity


def test_every_kind_can_be_asked_for_and_no_other() -> None:
    for kind in KINDS:
        assert EvaluationSettings(kind=kind).kind == kind
    with pytest.raises(ValidationError, match="choice"):
        EvaluationSettings(kind="essay")


def test_only_what_the_questions_depend_on_is_their_identity() -> None:
    """As it was before there were kinds: results of then are found."""
    facts = FactSets(
        prior=(), infused=(Fact("Ada", "P", "UK"),), unseen=(), facts_seed=0,
        statements={"P": ("{subject} is of {object}.",)}, questions={"P": ("Home of {subject}: {object}.",)},
    )  # fmt: skip
    identity = evaluation_identity(EvaluationSettings(num_choices=3, every_tokens=5_000), facts)
    assert identity == {
        "settings": {"num_choices": 3, "question_template": 0, "questions_per_fact": 1},
        "facts": {"prior": [], "infused": [["Ada", "P", "UK"]], "unseen": [], "facts_seed": 0},
        "questions": {"P": "Home of {subject}: {object}."},
    }
    others = {kind: evaluation_identity(EvaluationSettings(kind=kind), facts) for kind in KINDS if kind != "choice"}
    assert all(identity["settings"]["kind"] == kind for kind, identity in others.items())
