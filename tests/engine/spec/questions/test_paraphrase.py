from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking
from engine.spec.questions.paraphrase import PARAPHRASE

FACTS = [Fact(f"s{r}{i}", r, f"o{i % 6}") for r in "PQ" for i in range(24)]


def test_every_question_in_each_template_that_all_relations_have() -> None:
    asked = {
        "P": ("{subject} of {object}", "{subject}: {object}", "{subject}? {object}"),
        "Q": ("{subject} in {object}", "{subject}! {object}"),
    }
    blocks = PARAPHRASE.blocks(FACTS, Asking(FACTS, {}, {}, asked, 0), EvaluationSettings(kind="paraphrase"))
    by_template = [[block for block in blocks if block.template == t] for t in (0, 1)]
    assert len(blocks) == 24
    assert [block.facts for block in by_template[0]] == [block.facts for block in by_template[1]]
    assert {context[-1] for block in by_template[1] for context in block.contexts} == {":", "!"}
