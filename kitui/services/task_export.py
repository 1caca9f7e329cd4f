"""`kitui export-tasks`: a sweep's questions as a folder of tasks for lm-evaluation-harness, which gives any model the
same scores on them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import orjson

from engine.errors import DataError, SpecError
from engine.records.bundle import read_bundle
from engine.records.workspace import Workspace
from engine.spec import fact_sets
from engine.spec.evaluation import EvaluationSettings
from engine.spec.questions import KINDS
from engine.spec.questions.base import Block
from engine.spec.runspec import FactSets
from kitui.services.format import counted
from kitui.services.sweeps import known_sweep


class _Task(NamedTuple):
    name: str
    is_free: bool
    prefix: str
    """What stands between a context and its answer."""
    rows: list[dict[str, object]]


def export_tasks(workspace: Workspace, sweep: str, folder: Path) -> str:
    """Write the tasks of a sweep's questions, one a fact set, and a group of them. What was done, in words."""
    name, of_sweep, _ = known_sweep(workspace, sweep)
    bundle = read_bundle(of_sweep.bundle)
    if bundle is None:
        raise SpecError("this sweep was not trained here: its questions are not known.", value=name)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise DataError("it exists and is not an empty folder.", value=str(folder), mend="Choose another.")
    tasks = _tasks(name, bundle.facts, bundle.runs[0].evaluation)
    folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        lines = b"".join(orjson.dumps(row) + b"\n" for row in task.rows)
        (folder / f"{task.name}.jsonl").write_bytes(lines)
        _write(folder / f"{task.name}.yaml", _settings(task))
    group = f"kitui-{name}"
    _write(folder / f"{group}.yaml", {"group": group, "task": [task.name for task in tasks]})
    length = bundle.runs[0].training.context_length
    return (
        f"{counted(len(tasks), 'task')} written to {folder}: cd there, and lm_eval --include_path . --tasks {group} "
        f"--model hf --model_args pretrained=MODEL,add_bos_token=True,max_length={length}"
    )


def _tasks(name: str, facts: FactSets, evaluation: EvaluationSettings) -> list[_Task]:
    tasks = []
    for fact_set in fact_sets.ASKED:
        by_prefix: dict[str, list[Block]] = defaultdict(list)
        for block in facts.blocks(fact_set, evaluation):
            by_prefix[block.prefix].append(block)
        for prefix, blocks in by_prefix.items():
            parts = ["kitui", name, fact_set, *(["joined"] if not prefix and len(by_prefix) > 1 else [])]
            rows: list[dict[str, object]] = [
                {"context": context, "choices": block.choices, "answer": right, "first": prefix + block.choices[0]}
                for block in blocks
                for context, right in zip(block.contexts, block.right, strict=True)
            ]
            tasks.append(_Task("-".join(parts), KINDS[evaluation.kind].is_free, prefix, rows))
    return tasks


def _settings(task: _Task) -> dict[str, object]:
    """Of version 0.4's format. Of a free answer it knows the first that is right, and no other names."""
    common: dict[str, object] = {
        "task": task.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"{task.name}.jsonl"}},
        "test_split": "test",
        "doc_to_text": "{{context}}",
        "target_delimiter": task.prefix,
        "metadata": {"version": 1},
    }
    if task.is_free:
        return common | {"output_type": "loglikelihood", "doc_to_target": "{{first}}"} | _metrics("acc")
    how = {"output_type": "multiple_choice", "doc_to_choice": "choices", "doc_to_target": "answer"}
    return common | how | _metrics("acc", "acc_norm")


def _metrics(*names: str) -> dict[str, object]:
    return {"metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in names]}


def _write(path: Path, content: dict[str, object]) -> None:
    """JSON is YAML."""
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
