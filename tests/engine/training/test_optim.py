import pytest

from engine.spec.sweep import StagesSettings, TrainingSettings
from engine.training.optim import learning_rate_at


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings(context_length=8, batch_size=2, learning_rate=1.0, **changes)


def rates(
    num_steps: int, stages: StagesSettings | None = None, stage_one: int | None = None, **changes: object
) -> list[float]:
    return [
        learning_rate_at(
            step,
            peak=2.0,
            num_steps=num_steps,
            settings=settings(**changes),
            stages=stages,
            stage_one_steps=num_steps if stage_one is None else stage_one,
        )
        for step in range(num_steps)
    ]


def test_warm_up_peak_and_fall() -> None:
    curve = rates(100)
    assert curve[0] == pytest.approx(0.2)
    assert curve[9] == curve[10] == 2.0
    assert curve[10:] == sorted(curve[10:], reverse=True)
    assert curve[-1] == pytest.approx(0.2)


def test_schedules() -> None:
    assert set(rates(50, schedule="constant", warmup_share=0)) == {2.0}
    linear = rates(11, schedule="linear", warmup_share=0, final_learning_rate_share=0)
    assert linear == pytest.approx([2.0 - 0.2 * i for i in range(11)])


def test_the_second_stage_has_its_own_constant_rate() -> None:
    curve = rates(60, StagesSettings(learning_rate=0.5), stage_one=40)
    assert curve[39] == pytest.approx(0.2)
    assert set(curve[40:]) == {0.5}


def test_one_step_is_enough() -> None:
    assert rates(1) == [2.0]
