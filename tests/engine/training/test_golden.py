"""Guards TRAINING_SEMANTICS: if these numbers move, the same settings train another model; raise the integer."""

import pytest

from engine.records.metrics import StepRecord, read_metrics
from engine.spec.runspec import TRAINING_SEMANTICS
from tests.engine.training.conftest import Lab

# By version of the semantics: loss of the first and the last record, background loss; another processor or torch
# rounds differently, hence the tolerance, which is far below what any change of data, order or model does.
GOLDEN = {1: (6.36630, 5.07659, 4.80736)}


def test_the_numbers_of_this_version(lab: Lab) -> None:
    spec = lab.spec(frequency=4)
    result = lab.train("golden", spec)
    steps = [r for r in read_metrics(lab.folder("golden", spec).metrics) if isinstance(r, StepRecord)]
    assert (steps[0].loss, steps[-1].loss, result.background_loss) == pytest.approx(
        GOLDEN[TRAINING_SEMANTICS], rel=2e-4
    )
