from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import NO_CHANCE, Asking
from engine.spec.questions.cloze import CLOZE


def test_all_that_is_right_counts() -> None:
    facts = [Fact("Basel", "P17", "France"), Fact("Bonn", "P17", "Germany")]
    objects = {"P17": {"Basel": ("Switzerland", "France")}}
    aliases = {"Switzerland": ("CH", "Helvetia"), "Germany": ("FRG",)}
    asking = Asking(facts, objects, aliases, {"P17": ("{subject} lies in {object}.",)}, 0)
    basel, bonn = CLOZE.blocks(facts, asking, EvaluationSettings(kind="cloze"))
    assert basel.choices == ("France", "Switzerland", "CH", "Helvetia")
    assert bonn.choices == ("Germany", "FRG")
    assert (basel.contexts, basel.prefix, basel.right) == (("Basel lies in",), " ", (0,))
    assert CLOZE.num_choices([basel, bonn]) == NO_CHANCE
