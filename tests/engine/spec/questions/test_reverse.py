from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking
from engine.spec.questions.reverse import REVERSE

FACTS = [Fact(f"s{i}", "P", f"o{i % 6}") for i in range(24)]


def test_subjects_are_chosen_of_an_object() -> None:
    given = ("{subject} is of {object}.", "In {object} lives {subject}.")
    templates = {"P": REVERSE.templates(given, EvaluationSettings())}
    assert templates == {"P": ("In {object} lives {subject}.",)}
    blocks = REVERSE.blocks(FACTS, Asking(FACTS, {}, {}, templates, 0), EvaluationSettings(kind="reverse"))
    assert len(blocks) == 6
    for block in blocks:
        asked = [FACTS[index] for index in block.facts]
        assert block.choices == tuple(fact.subject for fact in asked)
        assert block.contexts == tuple(f"In {fact.object} lives" for fact in asked)
        assert len({fact.object for fact in asked}) == 4  # whoever ignores the object is right once in four
        assert block.right == (0, 1, 2, 3)


def test_without_a_template_that_can_be_turned_round_nothing_is_asked() -> None:
    templates = {"P": REVERSE.templates(("{subject} is of {object}.",), EvaluationSettings())}
    assert REVERSE.blocks(FACTS, Asking(FACTS, {}, {}, templates, 0), EvaluationSettings(kind="reverse")) == []
