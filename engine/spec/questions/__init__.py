"""Kinds of question, each of them one entry of `KINDS`, and a module of its own."""

from __future__ import annotations

from engine.spec.questions.base import QuestionKind
from engine.spec.questions.choice import CHOICE
from engine.spec.questions.cloze import CLOZE
from engine.spec.questions.neighbour import NEIGHBOUR
from engine.spec.questions.own_choices import OWN_CHOICES
from engine.spec.questions.paraphrase import PARAPHRASE
from engine.spec.questions.rank import RANK
from engine.spec.questions.reverse import REVERSE
from engine.spec.questions.two_hop import TWO_HOP

KINDS: dict[str, QuestionKind] = {
    "choice": CHOICE,
    "own_choices": OWN_CHOICES,
    "rank": RANK,
    "cloze": CLOZE,
    "reverse": REVERSE,
    "paraphrase": PARAPHRASE,
    "two_hop": TWO_HOP,
    "neighbour": NEIGHBOUR,
}
