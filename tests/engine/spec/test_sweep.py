from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import SpecError
from engine.spec.models import preset
from engine.spec.sweep import Sweep
from engine.spec.sweep_file import read_sweep

SAMPLE_SWEEPS = ["smoke", "laptop", "laptop-neutral", "overnight", "hub", "initial"]


@pytest.mark.parametrize("name", SAMPLE_SWEEPS)
def test_the_sample_sweeps_are_valid(samples: Path, name: str) -> None:
    assert read_sweep(samples / f"{name}.toml").name == name


def test_the_demo_is_as_large_as_promised(samples: Path) -> None:
    grid = read_sweep(samples / "laptop.toml").grid
    assert len(grid.model_size) >= 4
    assert len(grid.infusion_frequency) >= 8
    assert len(grid.seed) >= 3


def test_the_neutral_arm_differs_in_size_and_fill_alone(samples: Path) -> None:
    infused, neutral = (read_sweep(samples / f"{n}.toml") for n in ("laptop", "laptop-neutral"))
    assert neutral.grid.model_size[0] in infused.grid.model_size
    rest = [
        s.model_dump(exclude={"name": True, "grid": {"model_size"}, "mixture": {"fill"}}) for s in (infused, neutral)
    ]
    assert rest[0] == rest[1]
    assert (infused.mixture.fill, neutral.mixture.fill) == ("infused", "neutral")


def test_the_name_is_the_files_unless_given(write_sweep: Callable[..., Path]) -> None:
    assert read_sweep(write_sweep(name="my-own.toml")).name == "my-own"
    assert read_sweep(write_sweep('name = "other"\n' + write_sweep().read_text())).name == "other"


def test_learning_rates_by_rule_table_or_number(write_sweep: Callable[..., Path]) -> None:
    def rates(text: str) -> list[float]:
        sweep = read_sweep(write_sweep(learning_rate=text))
        return [sweep.training.learning_rate_for(preset(s)) for s in ("nano-3k", "nano-7k")]

    assert rates("0.01") == [0.01, 0.01]
    assert rates('{ "nano-3k" = 0.02, "NANO-7K" = 1e-2 }') == [0.02, 0.01]
    assert rates("{ base = 0.01, base_width = 16, width_exponent = -1 }") == pytest.approx([0.01, 0.01 * 16 / 24])


def test_numbers_with_suffixes(write_sweep: Callable[..., Path]) -> None:
    sweep = read_sweep(write_sweep(num_tokens='["20k", 3e4, "0.1M"]', every_tokens='"5k"'))
    assert sweep.grid.num_tokens == (20_000, 30_000, 100_000)
    assert sweep.evaluation.every_tokens == 5_000


CASES = {
    "an unknown key": ({"vocab_size": "300\nvocabulary = 5"}, r"tokenizer.vocabulary.*unknown key.*vocab_size"),
    "a misspelt axis": (
        {"infusion_frequency": "[0]\ninfusion_freqency = [1]"},
        r"infusion_freqency.*Did you mean infusion_f",
    ),
    "a wrong type": ({"num_prior": '"many"'}, r"facts.num_prior = 'many'.*expected a number"),
    "an empty list": ({"infusion_frequency": "[]"}, r"grid.infusion_frequency = \[\].*empty.*geom"),
    "a negative frequency": ({"infusion_frequency": "[-1]"}, r"infusion_frequency.*zero or more"),
    "a fractional frequency": ({"infusion_frequency": "[1.5]"}, "whole numbers"),
    "an unknown size": ({"model_size": '["nano-9k"]'}, r"model_size = 'nano-9k'.*nano-"),
    "an unknown word": ({"kind": '"words"'}, r"tokenizer.kind = 'words'.*'word'"),
    "a share above one": ({"beta2": "1.2"}, r"training.beta2.*between 0 and 1"),
    "a zero": ({"batch_size": "0"}, r"training.batch_size"),
    "too few choices": ({"num_choices": "1"}, r"evaluation.num_choices"),
    "a boolean as number": ({"num_infused": "true"}, r"facts.num_infused.*expected a number"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_names_key_value_and_mend(write_sweep: Callable[..., Path], case: str) -> None:
    changes, words = CASES[case]
    path = write_sweep(**changes)
    with pytest.raises(SpecError, match=words) as caught:
        read_sweep(path)
    assert str(path) in str(caught.value)


def test_all_faults_come_in_one_message(write_sweep: Callable[..., Path]) -> None:
    with pytest.raises(SpecError) as caught:
        read_sweep(write_sweep(num_prior='"x"', num_infused='"y"', batch_size="-3"))
    assert all(key in str(caught.value) for key in ("facts.num_prior", "facts.num_infused", "training.batch_size"))


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ('[background]\nsource = "files"\n', "needs path"),
        ('[background]\nsource = "hub"\n', "needs dataset"),
        ('[background]\nsource = "hub"\ndataset = "x/y"\n', "needs max_tokens"),
        ("[stages]\nlearning_rate = 1e-3\n", "append"),
        ("[stages]\nlearning_rate = 1e-3\nreplay_share = 1\n", "replay_share"),
        ("[unheard]\nof = 1\n", "unheard.*unknown key"),
    ],
)
def test_parts_that_do_not_agree(write_sweep: Callable[..., Path], added: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        read_sweep(write_sweep(write_sweep().read_text() + added))


def test_one_checkpoint_cannot_serve_two_sizes(write_sweep: Callable[..., Path]) -> None:
    with pytest.raises(SpecError, match=r"\{model_size\}"):
        read_sweep(write_sweep(weight_decay='0.05\ninit_from = "somewhere"'))


@pytest.mark.parametrize("name", ["../evil", "a/b", "Upper", ".hidden", "", "x" * 101, "né"])
def test_unsafe_names(write_sweep: Callable[..., Path], name: str) -> None:
    with pytest.raises(SpecError, match="usable name"):
        read_sweep(write_sweep(f'name = "{name}"\n' + write_sweep().read_text()))


def test_every_setting_has_one_spelling() -> None:
    """No two sections share a key with different meanings of number: a typo's nearest name stays within its section."""
    assert set(Sweep.model_fields) >= {"grid", "facts", "background", "tokenizer", "mixture", "training", "evaluation"}
