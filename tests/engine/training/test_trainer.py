"""One run, for real: exact repetition, kill −9, SIGTERM, divergence, stages, what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import DAMAGED, STOPPED_AFTER_CHECKPOINT, DataError
from engine.records.metrics import EventRecord, RetentionRecord, StepRecord, read_metrics
from engine.records.record import plain
from engine.records.results import RunResult, read_result
from engine.records.workspace import RunFolder
from engine.spec.questions import KINDS
from engine.training import trainer
from engine.training.run import run
from tests.conftest import in_full_disk, sweep_text, wait_until
from tests.engine.training.conftest import Lab


def numbers(folder: RunFolder) -> list[tuple[Any, ...]]:
    """All that a run measured, without the clock."""
    kept: list[tuple[Any, ...]] = []
    for record in read_metrics(folder.metrics):
        if isinstance(record, StepRecord):
            kept.append((record.step, record.num_tokens, record.loss, record.learning_rate, record.gradient_norm))
        elif isinstance(record, RetentionRecord):
            kept.append((record.step, record.sets, record.background_loss, record.exposures))
    return sorted(kept, key=lambda k: (k[0], len(k)))


def outcome(result: RunResult) -> dict[str, Any]:
    return {k: v for k, v in plain(result).items() if k not in ("execution", "attempt")}


def test_the_same_cell_twice_gives_the_same_numbers_bit_for_bit(lab: Lab) -> None:
    spec = lab.spec()
    first, second = lab.train("first", spec), lab.train("second", spec)
    assert outcome(first) == outcome(second)
    assert numbers(lab.folder("first", spec)) == numbers(lab.folder("second", spec))
    assert outcome(first) != outcome(lab.train("other", lab.spec(seed=1)))


@pytest.mark.parametrize("kills", [1, 3])
def test_killed_and_resumed_gives_the_same_numbers_bit_for_bit(lab_of: Callable[..., Lab], kills: int) -> None:
    lab = lab_of(num_tokens='["40k"]')  # long enough that a quick machine does not end it between two kills
    plain = lab.spec()
    whole = lab.train("whole", plain)
    spec = plain.model_copy(update={"checkpoint_every_s": 0.05})
    folder = lab.folder("killed", spec)
    resumed_at = []
    for attempt in range(1, kills + 1):
        before = folder.latest.read_text() if folder.latest.exists() else None
        process = lab.start("killed", spec, attempt)
        # Beyond a new checkpoint by a few steps, so that some are done twice.
        wait_until(lambda old=before: folder.latest.exists() and folder.latest.read_text() != old, 60)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        resumed_at.append(int(folder.latest.read_text()))
    again = lab.train("killed", spec, attempt=kills + 1)
    assert again.attempt == kills + 1
    assert resumed_at == sorted(resumed_at)
    assert 0 < resumed_at[-1] < whole.num_steps  # it did stop midway
    assert outcome(again) == outcome(whole)
    assert numbers(folder) == numbers(lab.folder("whole", plain))
    events = [r for r in read_metrics(folder.metrics) if isinstance(r, EventRecord)]
    assert [e.name for e in events if e.name == "resumed"] == ["resumed"] * kills


def test_sigterm_writes_a_checkpoint_and_leaves_with_75(lab: Lab) -> None:
    plain = lab.spec()
    whole = lab.train("whole", plain)
    process = lab.start("stopped", plain)
    folder = lab.folder("stopped", plain)
    wait_until(lambda: len(numbers(folder)) > 3, 60)
    process.terminate()
    process.join()
    assert process.exitcode == STOPPED_AFTER_CHECKPOINT
    assert folder.latest.exists()
    assert not folder.result(plain.evaluation_id).exists()
    assert outcome(lab.train("stopped", plain, attempt=2)) == outcome(whole)
    assert numbers(folder) == numbers(lab.folder("whole", plain))


def test_realised_exposures_are_the_plan(lab: Lab) -> None:
    for frequency in (0, 4, 12):
        result = lab.train(f"f{frequency}", lab.spec(frequency=frequency))
        infused = result.exposures["infused"]
        assert result.exposures_as_planned
        assert (infused.minimum, infused.mean, infused.maximum) == (frequency, frequency, frequency)
        assert result.exposures["unseen"].maximum == 0
        assert result.num_tokens == 10_000
        assert result.status == "done"
    assert result.exposures["prior"].mean < 10


def test_an_exposure_too_few_is_noticed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit counts in the tokens, not in the schedule: a mixture that loses one writing is found out."""
    real = trainer.Trainer._rows_of
    spoilt = []

    def lose_one(self: trainer.Trainer, step: int) -> Any:
        rows = real(self, step)
        if not spoilt and step > 3:
            spoilt.append(step)
            rows = rows._replace(own=[row.copy() for row in rows.own])
            rows.own[0][:] = 5
        return rows

    monkeypatch.setattr(trainer.Trainer, "_rows_of", lose_one)
    assert not lab.train("spoilt", lab.spec()).exposures_as_planned


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(lab_of: Callable[..., Lab]) -> None:
    lab = lab_of(learning_rate="1e30", num_tokens='["10k"]', prior_rate="1000")
    spec = lab.spec()
    result = lab.train("wild", spec)
    assert result.status == "diverged"
    assert result.num_steps < 40
    records = read_metrics(lab.folder("wild", spec).metrics)
    assert any(isinstance(r, EventRecord) and r.name == "diverged" for r in records)
    last = [r for r in records if isinstance(r, StepRecord)][-1]
    assert last.gradient_norm is None


def test_scores_come_as_often_as_asked_and_do_not_touch_training(lab: Lab) -> None:
    spec = lab.spec()
    often = spec.model_copy(update={"evaluation": spec.evaluation.model_copy(update={"every_tokens": 1_000})})
    never = spec.model_copy(update={"evaluation": spec.evaluation.model_copy(update={"every_tokens": None})})
    results = {name: lab.train(name, s) for name, s in (("often", often), ("never", never))}
    assert outcome(results["often"]) == outcome(results["never"])
    records = {
        n: [r for r in read_metrics(lab.folder(n, s).metrics) if isinstance(r, RetentionRecord)]
        for n, s in (("often", often), ("never", never))
    }
    assert len(records["often"]) == 10
    assert len(records["never"]) == 1
    exposures = [r.exposures["infused"].mean for r in records["often"]]
    assert exposures == sorted(exposures)
    assert exposures[-1] == 12


def test_micro_batches_change_nothing_but_rounding(lab: Lab) -> None:
    spec = lab.spec()
    whole, split = lab.train("whole", spec), lab.train("split", spec.model_copy(update={"micro_batch_size": 3}))
    assert split.background_loss == pytest.approx(whole.background_loss, rel=1e-3)
    assert split.num_tokens == whole.num_tokens


@pytest.mark.parametrize(
    "file", ["model.safetensors", "optimizer.safetensors", "progress.json", "counts.npz", "latest"]
)
def test_a_damaged_checkpoint_is_left_for_the_one_before(lab_of: Callable[..., Lab], file: str) -> None:
    lab = lab_of(num_tokens='["40k"]')
    plain = lab.spec()
    spec = plain.model_copy(update={"checkpoint_every_s": 0.05})
    folder = lab.folder("damaged", spec)
    process = lab.start("damaged", spec)

    def is_second() -> bool:  # the pointer moves after the folder is there
        steps = [int(path.name) for path in folder.checkpoints.glob("[0-9]*")]
        return len(steps) > 1 and int(folder.latest.read_text()) > min(steps)

    wait_until(is_second, 60)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    step = int(folder.latest.read_text())
    damaged = folder.latest if file == "latest" else folder.checkpoints / str(step) / file
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 64
    damaged.write_bytes(content)
    again = lab.train("damaged", spec, attempt=2)
    events = {r.name: r for r in read_metrics(folder.metrics) if isinstance(r, EventRecord)}
    if file == "latest":  # the folders say it too
        assert events["resumed"].step == step
    else:
        assert file in events["checkpoint damaged"].text
        assert events["resumed"].step < step
    assert outcome(again) == outcome(lab.train("whole", plain))
    assert numbers(folder) == numbers(lab.folder("whole", plain))


@pytest.mark.parametrize("damage", ["background.bin", "tokenizer.json", "facts", "spec"])
def test_what_a_run_reads_is_believed_only_as_it_was_written(lab: Lab, damage: str) -> None:
    spec = lab.spec()
    folder = lab.folder("run", spec)
    path = {
        "facts": lab.workspace.facts(spec.facts_id),
        "spec": folder.spec,
    }.get(damage, lab.workspace.tokens(spec.tokens_id) / damage)
    content = path.read_bytes()
    if damage == "spec":
        content = content.replace(b'"frequency": 12', b'"frequency": 13')
    elif damage == "facts":
        name = next(fact.object for fact in lab.facts.infused).encode()
        content = content.replace(name, name[::-1])
    else:
        content = content[: len(content) // 2] + b"!" + content[len(content) // 2 + 1 :]
    assert content != path.read_bytes()
    path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "engine.training.run", str(folder.root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == DAMAGED, done.stderr
    assert "changed after" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(folder.root.glob("result-*"))


def test_a_run_that_is_only_to_be_scored_is_not_trained_and_loses_nothing(lab: Lab) -> None:
    spec = lab.spec()
    lab.train("run", spec)
    folder = lab.folder("run", spec)
    before, weights = folder.metrics.read_bytes(), next(folder.checkpoints.glob("*/model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 64
    weights.write_bytes(content)
    with pytest.raises(DataError, match="nothing to score"):
        lab.train("run", spec.model_copy(update={"only_score": True}), attempt=2)
    assert folder.metrics.read_bytes() == before


def test_two_stages_resume_like_one(lab_of: Callable[..., Lab]) -> None:
    text = (
        Path(__file__).parents[3].joinpath("sample_data/smoke.toml").read_text().replace('"displace"', '"append"')
        + "[stages]\nlearning_rate = 2e-3\nreplay_share = 0.2\n"
    )
    lab = lab_of(text.replace('"20k"', '"8k"').replace("prior_rate = 800", "prior_rate = 1000"))
    spec = lab.spec(checkpoint_every_s=0.05)
    whole = lab.train("whole", spec.model_copy(update={"checkpoint_every_s": 600}))
    folder = lab.folder("killed", spec)
    process = lab.start("killed", spec)
    wait_until(
        lambda: any(isinstance(r, StepRecord) and r.learning_rate == 2e-3 for r in read_metrics(folder.metrics)), 60
    )
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert outcome(lab.train("killed", spec, attempt=2)) == outcome(whole)
    assert whole.num_tokens > 8_000 + 12 * 48 * 5
    assert whole.exposures_as_planned
    assert whole.exposures["infused"].mean == 12


def test_bf16_trains(lab: Lab) -> None:
    spec = lab.spec()
    low = spec.model_copy(update={"training": spec.training.model_copy(update={"precision": "bf16"})})
    results = lab.train("fp32", spec), lab.train("bf16", low)
    assert results[0].background_loss != results[1].background_loss
    assert results[1].background_loss == pytest.approx(results[0].background_loss, rel=0.03)


def test_starting_from_a_checkpoint(lab: Lab, lab_of: Callable[..., Lab]) -> None:
    spec = lab.spec()
    first = lab.train("first", spec)
    folder = lab.folder("first", spec)
    start = str(folder.checkpoints / folder.latest.read_text().strip())
    from_there = spec.model_copy(update={"init_from": start})
    later = lab.train("later", from_there)
    losses = [numbers(lab.folder(n, s))[0][2] for n, s in (("first", spec), ("later", from_there))]
    assert losses[1] < losses[0] - 1
    assert later.background_loss < first.background_loss + 0.1
    with pytest.raises(Exception, match="hidden_size = 24"):
        run(lab.folder("wrong", lab.spec(model="nano-3k", init_from=start)), num_threads=1, attempt=1, warm_start=False)


@pytest.mark.parametrize(("keep", "kept"), [("none", 0), ("last", 1), ("all", 2)])
def test_weights_are_kept_as_asked(lab: Lab, keep: str, kept: int) -> None:
    spec = lab.spec(keep_weights=keep, checkpoint_every_s=0.05 if keep == "all" else 600)
    lab.train(keep, spec)
    folder = lab.folder(keep, spec)
    weights = sorted(folder.checkpoints.glob("*/model.safetensors"))
    assert len(weights) >= kept if keep == "all" else len(weights) == kept
    # Only a run that can go on needs the optimizer.
    assert not list(folder.checkpoints.glob("*/optimizer.safetensors"))


def test_a_full_disk_spoils_a_checkpoint_and_not_the_run(lab: Lab) -> None:
    spec = lab.spec(checkpoint_every_s=0.05)
    whole = lab.train("whole", spec.model_copy(update={"checkpoint_every_s": 600}))
    folder = lab.folder("full", spec)
    folder.checkpoints.mkdir()
    # Room for the weights, which end the run, and not for an optimizer beside them.
    script = '"$0" -m engine.training.run "$1"; code=$?; cat "$1/latest"; ls; exit $code'
    argv = ["sh", "-c", script, sys.executable, str(folder.root)]
    done = in_full_disk(folder.checkpoints, "176k", argv)
    assert done.returncode == 0, done.stderr
    events = [r for r in read_metrics(folder.metrics) if isinstance(r, EventRecord)]
    failed = [e for e in events if e.name == "checkpoint failed"]
    assert failed
    assert "No space left" in failed[0].text
    result = read_result(folder.result(spec.evaluation_id))
    assert result is not None
    assert outcome(result) == outcome(whole)
    latest, *listed = done.stdout.split()
    assert listed == [latest]


def test_a_finished_run_can_be_scored_with_other_questions_without_training(lab: Lab) -> None:
    spec = lab.spec()
    first = lab.train("run", spec)
    evaluation = spec.evaluation.model_copy(update={"num_choices": 3})
    second = lab.train("run", spec.model_copy(update={"evaluation": evaluation}), attempt=2)
    assert second.sets["prior"].num_choices == 3
    assert second.num_steps == first.num_steps
    assert second.execution.tokens_per_s == 0.0  # not a step was trained
    assert second.background_loss == first.background_loss
    assert lab.folder("run", spec).result(spec.evaluation_id).exists()


def test_torch_is_used_on_one_thread(lab: Lab) -> None:
    lab.train("one", lab.spec())
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("own_choices", "two_hop", "neighbour")])
def test_every_kind_of_question_is_asked(lab_of: Callable[..., Lab], kind: str) -> None:
    text = sweep_text(num_tokens='["10k"]', prior_rate="1000")
    lab = lab_of(text.replace("num_choices = 4", f'num_choices = 4\nkind = "{kind}"'))
    result = lab.train("run", lab.spec())
    for name, score in result.sets.items():
        assert (name == "verbatim") or score.num_questions >= 32, name
        assert 0 <= score.correct <= score.num_questions
    assert (result.sets["infused"].template_sd is not None) == (kind == "paraphrase")
    # Nobody knows what was never written: within four standard errors of chance, or below.
    unseen = result.sets["unseen"]
    chance = 1 / unseen.num_choices
    assert unseen.accuracy <= chance + 4 * (chance * (1 - chance) / unseen.num_questions) ** 0.5 + 1e-6
