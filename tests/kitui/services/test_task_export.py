import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.corpus.facts import block_questions
from engine.corpus.tokenizer import load_tokenizer, save_tokenizer
from engine.errors import DataError
from engine.records.workspace import Workspace
from engine.spec import fact_sets
from engine.spec.models import preset
from engine.spec.questions import KINDS
from engine.training.checkpoint import save_weights
from engine.training.model import decoder_of, make_model
from engine.training.scoring import answer, score_of
from kitui.services.task_export import export_tasks
from tests.conftest import Prepared, prepare, sweep_text
from tests.test_formats import sweep_of

EXAMPLES = {"two_hop": "compose", "neighbour": "beside"}
"""Of kinds that the sample facts have no questions of, the example of docs/formats.md that has."""


def of_kind(write_sweep: Callable[..., Path], workspace: Workspace, kind: str) -> Prepared:
    if kind in EXAMPLES:
        folder = workspace.root.parent / "example"
        folder.mkdir()
        return prepare(sweep_of(EXAMPLES[kind], folder).replace(folder / "sweep.toml"), workspace)
    text = sweep_text().replace("num_choices = 4", f'num_choices = 4\nkind = "{kind}"')
    if kind == "own_choices":
        text = text.replace("num_choices = 4", 'num_choices = 4\nquestions = "own.jsonl"')
    path = write_sweep(text)
    facts = [json.loads(line) for line in path.with_name("facts.jsonl").read_text().splitlines()]
    others = [fact for fact in facts if fact["object"] != "Rome"]
    rows = [
        {"id": f["subject"], "question": f"{f['subject']}?", "choices": ["Rome", f["object"], "Oz"], "answer": "B"}
        for f in others
    ]
    path.with_name("own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return prepare(path, workspace)


def test_a_task_for_each_set_and_a_group(
    write_sweep: Callable[..., Path], workspace: Workspace, tmp_path: Path
) -> None:
    prepared = of_kind(write_sweep, workspace, "choice")
    words = export_tasks(workspace, "sweep", tmp_path / "tasks")
    assert words.startswith("4 tasks written to")
    group = json.loads((tmp_path / "tasks" / "kitui-sweep.yaml").read_text())
    assert group["task"] == [f"kitui-sweep-{name}" for name in fact_sets.ASKED]
    rows = [json.loads(line) for line in (tmp_path / "tasks" / "kitui-sweep-infused.jsonl").read_text().splitlines()]
    assert len(rows) == len(prepared.bundle.facts.infused)
    with pytest.raises(DataError, match="not an empty folder"):
        export_tasks(workspace, "sweep", tmp_path / "tasks")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_lm_evaluation_harness_gives_the_same_scores(
    write_sweep: Callable[..., Path], workspace: Workspace, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = pytest.importorskip("lm_eval.evaluator")
    models = pytest.importorskip("lm_eval.models.huggingface")
    tasks = pytest.importorskip("lm_eval.tasks")
    bundle = of_kind(write_sweep, workspace, kind).bundle
    tokenizer = load_tokenizer(workspace.tokens(bundle.plan.tokens_id))
    model = make_model(
        preset("nano-28k"), vocab_size=tokenizer.vocab_size, context_length=32, initializer_range=0.3, seed=5
    ).eval()
    (tmp_path / "model").mkdir()
    save_weights(model, tmp_path / "model")
    save_tokenizer(tokenizer, tmp_path / "model")
    harness = models.HFLM(
        pretrained=str(tmp_path / "model"), device="cpu", dtype="float32", add_bos_token=True, max_length=32
    )
    export_tasks(workspace, "sweep", tmp_path / "tasks")
    monkeypatch.chdir(tmp_path / "tasks")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    found = evaluator.simple_evaluate(
        model=harness, tasks=["kitui-sweep"], bootstrap_iters=0, log_samples=False,
        task_manager=tasks.TaskManager(include_path=str(tmp_path / "tasks")),
    )["results"]  # fmt: skip
    compared = 0
    for fact_set in fact_sets.ASKED:
        blocks, questions = block_questions(bundle.facts, fact_set, bundle.runs[0].evaluation, tokenizer)
        if not questions:
            continue
        score, _ = score_of(questions, answer(decoder_of(model, 32), questions, tokenizer.bos_id), KINDS[kind], blocks)
        theirs = found[f"kitui-sweep-{fact_set}"]
        assert theirs["acc,none"] == pytest.approx(score.accuracy)
        if not KINDS[kind].is_free:
            assert theirs["acc_norm,none"] == pytest.approx(score.correct_norm / score.num_questions)
        compared += len(questions)
    assert compared >= (40 if kind in EXAMPLES else 150)
