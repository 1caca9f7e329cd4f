"""One run on a page, or several side by side in what differs: settings, attempts, exposures, scores, events."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from engine.control.ledger.state_file import read_state
from engine.control.status import unseen_runs
from engine.errors import KituiError
from engine.records.metrics import EventRecord, Exposures, MetricsTail
from engine.records.record import SCHEMA_VERSION, Record, plain
from engine.records.results import RunResult, read_result
from engine.records.states import RunState
from engine.records.workspace import RunFolder, Workspace, read_json, size_of
from kitui.services.format import duration, number, retention, size_of_bytes
from kitui.services.learning_curve import record_line
from kitui.services.text import printable

_NUM_EVENTS = 12
_NOT_SETTINGS = ("run_id", "evaluation_id", "facts_id", "tokens_id", "init_hash", "only_score")
"""What a spec holds beside what a person has set."""


class RunDocument(Record, frozen=True, kw_only=True):
    """`kitui run RUN --json`."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    sweeps: tuple[str, ...]
    status: str
    reason: str
    attempt: int
    host: str
    started_s: float | None
    ended_s: float | None
    used_hours: float
    """Of slots, over all attempts that have ended."""
    num_bytes: int
    settings: dict[str, object]
    scores: dict[str, float]
    exposures: dict[str, Exposures]
    """How often the facts of a set were to be written, and were."""
    exposures_as_planned: bool | None
    background_loss: float | None
    tokens_per_s: float | None
    device: str | None
    events: tuple[str, ...]
    """The last of them, as `kitui logs` has them."""


def run_document(workspace: Workspace, run_id: str) -> RunDocument:
    """What is known of a run. KituiError where its files cannot be read."""
    state = read_state(workspace)
    folder = workspace.run(run_id)
    run = state.runs.get(run_id, RunState(name=run_id))
    unseen = unseen_runs(workspace, state.runs)
    result = _last_result(folder, run)
    return RunDocument(
        run_id=run_id,
        sweeps=tuple(sorted(name for name, sweep in state.sweeps.items() if run_id in sweep.run_ids)),
        status=unseen.get(run_id, run.status).value if run_id in state.runs else "not in a sweep",
        reason=run.reason,
        attempt=run.attempt,
        host=run.host,
        started_s=run.started_s,
        ended_s=run.ended_s,
        used_hours=sum(run.used_s.values()) / 3600,
        num_bytes=size_of(folder.root),
        settings=_flat(read_json(folder.spec) or {}),
        scores={name: score.retention for name, score in result.sets.items()} if result is not None else {},
        exposures=result.exposures if result is not None else {},
        exposures_as_planned=result.exposures_as_planned if result is not None else None,
        background_loss=result.background_loss if result is not None else None,
        tokens_per_s=result.execution.tokens_per_s if result is not None else None,
        device=result.execution.device if result is not None else None,
        events=tuple(_events(folder)),
    )


def runs_json(documents: Sequence[RunDocument]) -> dict[str, object]:
    """Several of them as one document."""
    return {"schema_version": SCHEMA_VERSION, "runs": [plain(one) for one in documents]}


def _last_result(folder: RunFolder, run: RunState) -> RunResult | None:
    """Of the questions that it was scored with last."""
    try:
        return read_result(folder.result(run.evaluation_id)) if run.evaluation_id else None
    except KituiError:  # `kitui verify` says what is wrong with it
        return None


def _events(folder: RunFolder) -> list[str]:
    """Begins, checkpoints, ends: what is neither a step nor a score."""
    tail, found = MetricsTail(folder.metrics), list[str]()
    while records := tail.read_new():
        found += [printable(record_line(record)) for record in records if isinstance(record, EventRecord)]
        found = found[-_NUM_EVENTS:]
    return found


def _flat(spec: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Settings by dotted keys; what is set to nothing is left out."""
    flat: dict[str, object] = {}
    for key, value in spec.items():
        if not prefix and key in _NOT_SETTINGS:
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None and value != []:
            flat[prefix + key] = value
    return flat


def run_parts(document: RunDocument) -> list[RenderableType]:
    """The page: how it stands, scores with exposures, settings, events."""
    parts: list[RenderableType] = ["\n".join(_standing(document))]
    if document.scores:
        parts.append(_scores_table(document))
    settings = _grid("Settings")
    for key, value in document.settings.items():
        settings.add_row(_text(key), _text(value))
    parts.append(settings)
    if document.events:
        parts.append("\n".join(["Events", *document.events]))
    return parts


def _standing(document: RunDocument) -> list[str]:
    reason = f": {printable(document.reason)}" if document.reason else ""
    lines = [f"{document.status}{reason}", f"sweeps     {', '.join(map(printable, document.sweeps)) or 'none'}"]
    times = " to ".join(_clock(moment) for moment in (document.started_s, document.ended_s) if moment)
    if document.attempt:
        device = f", {document.device}" if document.device else ""
        lines.append(f"attempt    {document.attempt}, on {printable(document.host)}{device}")
    if times:
        lines.append(f"times      {times}")
    if document.used_hours:
        lines.append(f"taken      {number(document.used_hours)} slot-hours ({duration(3600 * document.used_hours)})")
    if document.tokens_per_s:
        lines.append(f"speed      {number(document.tokens_per_s)} tokens/s")
    lines.append(f"on disk    {size_of_bytes(document.num_bytes)}")
    if document.background_loss is not None:
        lines.append(f"held-out   loss {document.background_loss:.4f} on background text")
    return lines


def _scores_table(document: RunDocument) -> Table:
    planned = "" if document.exposures_as_planned is not False else "; other exposures than planned"
    table = _grid(f"Retention and exposures{planned}", ("facts", "R", "planned", "written", "least", "most"))
    for name, score in document.scores.items():
        found = document.exposures.get(name)
        cells = ["–"] * 4
        if found is not None:
            cells = [number(found.planned_mean), number(found.mean), f"{found.minimum:,}", f"{found.maximum:,}"]
        table.add_row(name, retention(score), *cells)
    return table


def differing_table(documents: Sequence[RunDocument]) -> Table:
    """Two or more runs side by side: only the settings and the scores in which they differ."""
    table = _grid("What differs", ("", *(one.run_id for one in documents)), ratio=False)
    rows: dict[str, list[str]] = {}
    for place, one in enumerate(documents):
        values = one.settings | {f"R {name}": retention(score) for name, score in one.scores.items()}
        values |= {"status": one.status, "host": one.host}
        for key, value in values.items():
            rows.setdefault(key, ["–"] * len(documents))[place] = str(value)
    for key, cells in rows.items():
        if len(set(cells)) > 1:
            table.add_row(_text(key), *map(_text, cells))
    return table


def _grid(title: str, columns: Sequence[str] = (), *, ratio: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold",
                  show_header=bool(columns))  # fmt: skip
    for column in columns or ("key", "value"):
        table.add_column(column, justify="right" if ratio and columns and column != "facts" else "left")
    return table


def _text(value: object) -> Text:
    """As it stands: what looks like markup is none."""
    return Text(printable(str(value)))


def _clock(moment_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment_s))
