"""Build or change a sweep without touching a file: fields with their faults beside them, and what it will take."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.suggester import Suggester
from textual.widgets import Input, Static

from engine.errors import KituiError
from engine.spec.axes import format_count
from engine.spec.models import PRESETS
from engine.spec.sweep import setting_choices
from kitui.actions import bindings
from kitui.console import printable
from kitui.design import FIELDS, Draft, Field, default_text, draft_of, new_draft, open_draft, preview
from kitui.format import counted, duration, number, retention, short_path, size_of_bytes
from kitui.planning import document_of, launched_words, measure, memory_words
from kitui.screens.base import KituiScreen
from kitui.screens.confirm import Ask, Confirm
from kitui.screens.page import Page
from kitui.snapshot import Snapshot
from kitui.sweeps import launch, plan_sweep
from kitui.widgets.line_input import LineInput
from kitui.widgets.suggesters import PathSuggester, WordSuggester

if TYPE_CHECKING:
    from kitui.app import KituiApp

_T = TypeVar("_T")
_PAUSE_S = 0.6
_ASIDE = "kitui-draft.toml"
_COSTS_WIDTH = 33  # columns, before the first layout


class _FieldRow(Vertical):
    """A field: its label, what is typed, and below it what is wrong with that."""

    def __init__(self, field: Field, suggester: Suggester | None) -> None:
        super().__init__(classes="field")
        self.field = field
        self._suggester = suggester

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(self.field.label, classes="label", markup=False)
            default = default_text(self.field.key)
            hint = f"default {default}" if default else ""
            yield LineInput(id=_id(self.field.key), suggester=self._suggester, placeholder=hint)
        yield Static("", classes="fault", markup=False)

    def fault(self, words: str) -> None:
        self.query_one(".fault", Static).update(f"! {printable(words)}" if words else "")
        self.set_class(bool(words), "-wrong")


class _Fields(VerticalScroll, inherit_bindings=False):
    """The arrow keys go from field to field, and the view follows: they do not scroll it."""


class DesignerScreen(KituiScreen):
    NAME = "designer"
    BINDINGS: ClassVar[list[BindingType]] = bindings("designer")

    def __init__(self) -> None:
        super().__init__()
        self.draft: Draft | None = None
        self._plan: dict[str, Any] | None = None
        self._note = ""
        self._generation = 0

    def compose_body(self) -> ComposeResult:
        yield Static("", id="design-title", markup=False)
        with Horizontal(id="design"):
            with _Fields(id="fields"):
                for field in FIELDS:
                    yield _FieldRow(field, self._suggester(field.key))
            with VerticalScroll(id="costs"):
                yield Static("", id="cost", markup=False)
        yield Static("", id="field-help", markup=False)

    def _suggester(self, key: str) -> Suggester | None:
        if key in ("facts.path", "facts.templates", "background.path"):
            return PathSuggester(lambda: self.draft.base if self.draft else Path())
        words = tuple(PRESETS) if key == "grid.model_size" else setting_choices(key)
        return WordSuggester(words) if words else None

    def on_mount(self) -> None:
        if self.draft is None:
            self.begin(None)

    def begin(self, sweep: str | None) -> None:
        """Start on a launched sweep, or on the sample; after a question where changes would be lost."""
        self._leaving(lambda: self._begin(sweep))

    def _leaving(self, go_on: Callable[[], None]) -> None:
        """Go on to another draft, after a question where changes to this one would be lost."""
        if self.draft is None or not self.draft.changed:
            go_on()
            return
        question = Confirm(f"Leave the changes to {self.draft.path}?")
        self.app.push_screen(question, lambda yes: go_on() if yes else None)

    def _begin(self, sweep: str | None) -> None:
        try:
            self._take(draft_of(self.kitui.workspace, sweep) if sweep else new_draft())
        except KituiError as error:
            self.notify(str(error), severity="error", markup=False)
            if self.draft is None:
                self._take(new_draft())

    def _take(self, draft: Draft) -> None:
        self.draft, self._plan = draft, None
        for field in FIELDS:
            box = self.query_one(f"#{_id(field.key)}", Input)
            with box.prevent(Input.Changed):
                box.value = draft.text_of(field.key)
        self.query_one("#name", Input).focus()
        self._check()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """What runs elsewhere changes nothing here."""

    # Typing

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        key = (event.input.id or "").replace("-", ".", 1)
        if self.draft is not None and key in {f.key for f in FIELDS}:
            self.draft.put(key, event.value)
            self._check()

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_go(1)

    def on_descendant_focus(self) -> None:
        focused = self.focused
        field = next((f for f in FIELDS if focused is not None and _id(f.key) == focused.id), None)
        self.query_one("#field-help", Static).update(f"{field.key}: {field.help}" if field else "")
        self._show_cost()

    def _check(self) -> None:
        """Say at once what is wrong, and plan anew when the typing has stopped."""
        assert self.draft is not None
        faults = self.draft.faults()
        for row in self.query(_FieldRow):
            row.fault(faults.get(row.field.key, ""))
        self._note = faults.get("", "")
        self._plan = None
        self._generation += 1  # what is still being worked out is of an earlier draft
        if not faults:
            self._note = "working out what it takes …"
            self.rested(_PAUSE_S, self._start_planning)
        elif not self._note:
            self._note = f"{counted(len(faults), 'field')} to mend first"
        self._show_title(self.draft)
        self._show_cost()

    def _show_title(self, draft: Draft) -> None:
        """Which file this is, and whether it has changes; the app asks for those before it ends."""
        self.kitui.unsaved = draft.path if draft.changed else None
        state = "" if not draft.changed else "  (changed)" if draft.path.exists() else "  (not saved)"
        self.query_one("#design-title", Static).update(printable(f"{short_path(draft.path)}{state}"))

    def _start_planning(self) -> None:
        if self.draft is not None and not self.draft.faults():
            # Not a worker: leaving the app would wait for it, and measuring a machine takes a while.
            arguments = (self.kitui, self.draft.standalone(), self._generation)
            threading.Thread(target=self._work_out, args=arguments, daemon=True).start()

    def _work_out(self, app: KituiApp, text: str, generation: int) -> None:
        """By the planning command, on a copy: nothing is saved by looking."""

        def say(plan: dict[str, Any] | None, note: str, fault: dict[str, str] | None = None) -> None:
            if generation == self._generation and app.is_running:
                app.call_later(self._worked_out, generation, plan, note, fault or {})

        try:
            with written_aside(text) as path:
                bundle = plan_sweep(path, app.workspace)
            if app.read_only:  # measuring would write what it finds
                say(document_of(bundle, app.workspace, None), "read-only: this machine's speed is not measured")
                return
            say(document_of(bundle, app.workspace, None), "measuring this machine's speed …")
            if generation == self._generation:
                say(document_of(bundle, app.workspace, measure(bundle, app.workspace)), "")
        except KituiError as error:
            if error.key in {field.key for field in FIELDS}:
                say(None, "1 field to mend first", {error.key: words_of(error, beside=True)})
            else:
                say(None, words_of(error))
        except OSError as error:
            say(None, str(error))

    def _worked_out(self, generation: int, plan: dict[str, Any] | None, note: str, faults: dict[str, str]) -> None:
        if generation == self._generation:
            self._plan, self._note = plan, note
            for row in self.query(_FieldRow):
                row.fault(faults.get(row.field.key, ""))
            self._show_cost()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_cost)

    def _show_cost(self) -> None:
        lines = [printable(self._note), ""] if self._note else []
        if self.focused is not None and self.focused.id == "grid-model_size":
            lines += [*preset_lines(), ""]
        if self._plan is not None:
            width = self.query_one("#cost", Static).size.width
            lines += [*cost_lines(self._plan), "", *grid_lines(self._plan["grid"], width or _COSTS_WIDTH)]
            lines += ["", *(f"note: {printable(n)}" for n in self._plan["notes"])] if self._plan["notes"] else []
        self.query_one("#cost", Static).update("\n".join(lines))

    # Actions

    def action_go(self, by: int) -> None:
        """To the field above or below."""
        if by > 0:
            self.focus_next("Input")
        else:
            self.focus_previous("Input")

    def action_clear_field(self) -> None:
        if isinstance(self.focused, Input):
            self.focused.clear()

    def action_leave_field(self) -> None:
        self.set_focus(self.query_one("#costs"))

    def action_save(self) -> None:
        if self.kitui.read_only or self.draft is None:
            self.notify("This view is read-only.", severity="warning")
            return

        def decided(text: str | None) -> None:
            if text and self.draft is not None:
                self._save_as(self.draft.target(Path(text)))

        self.app.push_screen(Ask("Save the sweep as", str(self.draft.path)), decided)

    def _save_as(self, path: Path) -> None:
        """Save, after a question where another file would be written over."""
        draft = self.draft
        assert draft is not None

        def save(yes: bool | None) -> None:
            if yes:
                try:
                    self.notify(f"saved: {draft.save(path)}", markup=False)
                except KituiError as error:
                    self.notify(str(error), severity="error", markup=False)
                self._check()

        if draft.would_overwrite(path):
            self.app.push_screen(Confirm(f"{path} is there already. Write over it?"), save)
        else:
            save(True)

    def action_load(self) -> None:
        def decided(text: str | None) -> None:
            if text:
                try:
                    draft = open_draft(Path(text).expanduser())
                except KituiError as error:
                    self.notify(str(error), severity="error", markup=False)
                else:
                    self._leaving(lambda: self._take(draft))

        self.app.push_screen(Ask("Open a sweep file", str(Path.cwd()) + "/"), decided)

    def action_preview(self) -> None:
        if self._is_sound():
            assert self.draft is not None
            self._preview(self.draft.standalone())

    @work(thread=True, exclusive=True, group="preview")
    def _preview(self, text: str) -> None:
        try:
            with written_aside(text) as path:
                lines = preview(path)
        except (KituiError, OSError) as error:
            lines = [words_of(error)]
        if self._plan is not None and self._plan["tokens_per_fact"] is not None:
            lines.insert(0, f"one infused fact is {self._plan['tokens_per_fact']:.1f} tokens each time it is written")
        words = printable("\n".join(lines))
        self.app.call_from_thread(self.app.push_screen, Page("facts and questions", [words]))

    def _is_sound(self) -> bool:
        """Whether no field is at fault; goes to the first one that is."""
        faults = self.draft.faults() if self.draft is not None else {}
        first = next((field for field in FIELDS if field.key in faults), None)
        if first is not None:
            self.query_one(f"#{_id(first.key)}", Input).focus()
            self.notify(f"{first.label}: {faults[first.key]}", severity="warning", markup=False)
        elif faults:
            self.notify(faults[""], severity="warning", markup=False)
        return not faults

    def action_launch(self) -> None:
        """Save, ask, and launch."""
        if self.kitui.read_only or self.draft is None:
            self.notify("This view is read-only.", severity="warning")
            return
        if not self._is_sound():
            return
        if self._plan is None:
            self.notify(self._note, severity="warning", markup=False)
            return
        cells = self._plan["cells"]
        words = (
            f"Launch {self._plan['sweep']} on this machine? {counted(cells['new'], 'run')} to train"
            + (f", {duration(self._plan['eta_s'])}" if self._plan["eta_s"] is not None else "")
            + f" on {counted(self._plan['slots'], 'slot')}. "
            f"It is saved as {self.draft.path}"
            f"{', over the file that is there' if self.draft.would_overwrite(self.draft.path) else ''}."
        )

        def decided(yes: bool | None) -> None:
            if yes and self.draft is not None:
                try:
                    path = self.draft.save()
                except KituiError as error:
                    self.notify(str(error), severity="error", markup=False)
                    return
                self._show_title(self.draft)
                self.notify("launching …", timeout=3)
                self._launch(path)

        self.app.push_screen(Confirm(words), decided)

    @work(thread=True, exclusive=True, group="launch")
    def _launch(self, path: Path) -> None:
        try:
            answer = launch(self.kitui.workspace, plan_sweep(path, self.kitui.workspace), None)
        except (KituiError, OSError) as error:
            self.kitui.tell_fault(error)
            return
        self.app.call_from_thread(self._launched, str(answer["sweep"]))

    def _launched(self, name: str) -> None:
        self.kitui.choose_sweep(name)
        self.kitui.switch_mode("monitor")

    def copy_text(self) -> str:
        return self.draft.document.as_string() if self.draft else ""


def preset_lines() -> list[str]:
    """The model sizes that there are, two to a line."""
    shapes = [f"{name:<9}{format_count(s.num_params):>6}" for name, s in PRESETS.items()]
    return ["sizes, N without embeddings:", *("  ".join(pair) for pair in batched(shapes, 2))]


def cost_lines(plan: dict[str, Any]) -> list[str]:
    """What a sweep takes, in 34 columns or little more."""
    cells = plan["cells"]
    return [
        f"{cells['total']:,} runs: {cells['new']:,} new, {cells['trained']:,} trained",
        *([launched_words(plan["launched"])] if plan["launched"] else []),
        f"to train   {format_count(plan['train_tokens'])} tokens",
        f"a fact     {number(plan['tokens_per_fact'])} tokens",
        *(
            f"ceiling    F ≤ {d['ceiling_frequency']:,} at D = {format_count(d['num_tokens'])}"
            for d in plan["ceilings"]
            if d["ceiling_frequency"] is not None
        ),
        f"GPU-hours  {number(plan['gpu_hours'])}",
        f"time here  {duration(plan['eta_s'])}, {counted(plan['slots'], 'slot')}",
        f"disk       {size_of_bytes(plan['disk_bytes'])}",
        f"run memory {memory_words(plan)}",
    ]


def grid_lines(grid: list[dict[str, Any]], columns: int) -> list[str]:
    """Sizes down, frequencies across: the mean retention where it is known, else how many seeds are to be trained.
    Frequencies that do not fit in so many columns come in further blocks below."""
    doses = sorted({row["frequency"] for row in grid})
    rows: dict[str, dict[int, dict[str, Any]]] = {}
    several = len({(row["num_tokens"], row["templates"]) for row in grid}) > 1
    for row in grid:
        label = row["model"] + (f" D={format_count(row['num_tokens'])} T={row['templates']}" if several else "")
        rows.setdefault(label, {})[row["frequency"]] = row
    width = max([len(label) for label in rows], default=4)
    lines = ["R known; ░ part; ·n seeds to go"]
    for block in batched(doses, max(1, (columns - width) // 5)):
        lines.append("F".ljust(width) + "".join(f"{d:>5}" for d in block))
        for label, by_dose in rows.items():
            lines.append(label.ljust(width) + "".join(_grid_cell(by_dose.get(d)) for d in block))
    return lines


def batched(values: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [values[i : i + size] for i in range(0, len(values), size)]


def _grid_cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "     "
    if row["above_ceiling"]:
        return "    ✗"
    if row["trained"] == 0:
        return f"   ·{row['seeds']}"
    text = "✓" if row["overall"] is None else retention(row["overall"])
    return f"{'░' if row['trained'] < row['seeds'] else ''}{text}".rjust(5)


@contextlib.contextmanager
def written_aside(text: str) -> Iterator[Path]:
    """A file with this draft, for those who read files; it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _ASIDE
        path.write_text(text, encoding="utf-8")
        yield path


def words_of(error: Exception, beside: bool = False) -> str:
    """The words of an error in a draft: its file is not named, for it was only written aside; nor is its key where
    the words stand `beside` the field."""
    if not isinstance(error, KituiError):
        return str(error)
    where = "" if _ASIDE in error.where else error.where
    key = "" if beside else error.key
    setting = f"{key} = {error.value}" if key and error.value else key or error.value
    return ": ".join(part for part in (where, setting, f"{error.what} {error.mend}".strip()) if part)


def _id(key: str) -> str:
    return key.replace(".", "-")
