"""Labels of curves and points."""

from __future__ import annotations

import pytest

from engine.records.conditions import Condition
from engine.spec import axes
from kitui.services.labels import condition_label, condition_words, size_label


def test_what_differs_is_named_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    rate = axes.Axis("learning_rate", "rate", "lr", "lr", "rates", "", spec_field="learning_rate", is_large=False)
    monkeypatch.setattr(axes, "AXES", (*axes.AXES, rate))
    some = [
        Condition(num_params=7000, num_tokens=num_tokens, templates=3, other_axes={"rate": value})
        for num_tokens in (96_000, 300_000)
        for value in (1e-3, 0.00046415888336127773)
    ]
    assert [condition_label(one, some) for one in some] == [
        "7k D=96k lr=0.001", "7k D=96k lr=0.0004642", "7k D=300k lr=0.001", "7k D=300k lr=0.0004642",
    ]  # fmt: skip
    assert condition_label(some[0], some[:1]) == "7k"


def test_a_size_reads_alike_in_labels_and_tables() -> None:
    small = Condition(num_params=2992, num_tokens=5120)
    assert condition_label(small, [small]) == axes.SIZE.words(axes.SIZE.of(small)) == "2.99k"
    assert axes.TOKENS.named(5120) == "D=5.12k"
    assert axes.SEED.words(12_345) == "12,345"  # no count: shortened it would be another seed


def test_a_size_goes_by_its_name_with_the_number_beside_it() -> None:
    small, names = Condition(num_params=2992, num_tokens=5120), {2992: "nano-3k"}
    assert condition_label(small, [small], names) == size_label(2992.0, names) == "nano-3k"
    assert condition_words(small, [small], names) == "nano-3k (N = 2.99k)"
    assert condition_words(small, [small]) == "N = 2.99k"
    other = Condition(num_params=2992, num_tokens=10_240)
    assert condition_words(other, [small, other], names) == "nano-3k (N = 2.99k), D=10.2k"
