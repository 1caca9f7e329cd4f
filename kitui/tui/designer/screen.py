"""Build or change a sweep without touching a file: fields with their faults beside them, and what it will take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from engine.errors import KituiError
from engine.records.states import LOCAL, RunStatus
from kitui.services.choices import field_offer, has_choices, host_offer
from kitui.services.draft import (
    FIELDS,
    GROUPS,
    Draft,
    Field,
    draft_of,
    new_draft,
    open_draft,
    words_of,
    written_aside,
)  # fmt: skip
from kitui.services.engine_commands import PlannedSweep, as_saved
from kitui.services.format import counted, duration, short_path
from kitui.services.planning import PlanDocument
from kitui.services.showing import show_sweep, shown_lines
from kitui.services.text import printable
from kitui.tui.bindings import bindings
from kitui.tui.designer.costs import Costs
from kitui.tui.designer.field_row import FieldRow, Fields, field_id
from kitui.tui.designer.group import Group, GroupTitle
from kitui.tui.designer.launcher import Launcher
from kitui.tui.designer.planner import Outcome, Planner
from kitui.tui.live.snapshot import Snapshot
from kitui.tui.screens.base import KituiScreen
from kitui.tui.screens.confirm import Ask, Confirm
from kitui.tui.screens.page import Page

_PAUSE_S = 0.6
_HOW_TO_GO = "↑ ↓ go from field to field; enter opens a group"


class DesignerScreen(KituiScreen):
    NAME = "designer"
    BINDINGS: ClassVar[list[BindingType]] = bindings("designer")

    def __init__(self) -> None:
        super().__init__()
        self.draft: Draft | None = None
        self._plan: PlanDocument | None = None
        self._planned: PlannedSweep | None = None
        """The draft as it was last planned: what is launched, where nothing was changed since."""
        self._note = ""
        self._generation = 0
        self._num_done: int | None = None
        self._left: Input | None = None
        self._title = ""
        self._is_awaited = False
        """Whether a launch was asked for, and waits for the plan."""
        self._hosts = [LOCAL]

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="design"):
            with Fields(id="fields", classes="pane"):
                for group in GROUPS:
                    yield Group(group, group.fields(), lambda: self.draft.base if self.draft else Path())
            with VerticalScroll(id="costs", classes="pane") as costs:
                costs.border_title = "What it takes"
                yield Costs(id="cost")
        yield Static("", id="field-help", markup=False)

    def on_mount(self) -> None:
        self._planner = Planner(self.kitui)
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
        question = Confirm(f"Throw away the changes to {short_path(self.draft.path)}?")
        self.app.push_screen(question, lambda yes: go_on() if yes else None)

    def _begin(self, sweep: str | None) -> None:
        try:
            self._take(draft_of(self.kitui.workspace, sweep) if sweep else new_draft())
        except KituiError as error:
            self.notify(str(error), severity="error", markup=False)
            if self.draft is None:
                self._take(new_draft())

    def _take(self, draft: Draft) -> None:
        self.draft, self._plan, self._planned = draft, None, None
        for field in FIELDS:
            box = self.query_one(f"#{field_id(field.key)}", Input)
            with box.prevent(Input.Changed):
                box.value = draft.text_of(field.key)
        self.query_one("#name", Input).focus()
        self._check()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """What was trained meanwhile changes what is left to do."""
        num_done = sum(row.num(RunStatus.DONE) for row in snapshot.status.sweeps)
        if num_done != self._num_done and self.draft is not None and not self.draft.faults():
            self._generation += 1
            self._planner.newest = self._generation
            self.rested(_PAUSE_S, self._start_planning)
        self._num_done = num_done

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.focused is not None:
            self.focused.scroll_visible(animate=False)

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
        field = self._field
        self.query_one("#field-help", Static).update(
            f"{field.label} ({field.key}): {field.help}" if field else _HOW_TO_GO
        )
        self._show_cost()

    @property
    def _field(self) -> Field | None:
        """The one being typed in."""
        focused = self.focused
        return next((f for f in FIELDS if focused is not None and field_id(f.key) == focused.id), None)

    def _check(self) -> None:
        """Say at once what is wrong, and plan anew when the typing has stopped."""
        assert self.draft is not None
        faults = self.draft.faults()
        self._show_faults(faults)
        self._note = faults.get("", "")
        self._plan = self._planned = None
        self._is_awaited = False
        self._generation += 1  # what is still being worked out is of an earlier draft
        self._planner.newest = self._generation
        if not faults:
            self._note = "working out what it takes …"
            self.rested(_PAUSE_S, self._start_planning)
        elif not self._note:
            self._note = f"{counted(len(faults), 'field')} to mend first"
        self._show_title(self.draft)
        self._show_cost()

    def _show_faults(self, faults: Mapping[str, str]) -> None:
        """Beside the fields, and on the titles of closed groups."""
        for row in self.query(FieldRow):
            row.fault(faults.get(row.field.key, ""))
        assert self.draft is not None
        for group in self.query(Group):
            group.summarise(self.draft, sum(field.key in faults for field in group.about.fields()))

    def _show_title(self, draft: Draft) -> None:
        """Which file this is, and whether it has changes; the app asks for those before it ends."""
        self.kitui.unsaved = draft.path if draft.changed else None
        state = "" if not draft.changed else "  (changed)" if draft.path.exists() else "  (not saved)"
        title = printable(f"{short_path(draft.path)}{state}")
        if title != self._title:  # a border that is set is drawn, with all that is in it
            self._title = title
            self.query_one("#fields").border_title = Content(title)

    def _start_planning(self) -> None:
        if self.draft is not None and not self.draft.faults():
            self._planner.start(self.draft.standalone(), self._generation, self._worked_out)

    def _worked_out(self, generation: int, outcome: Outcome) -> None:
        if generation == self._generation:
            self._plan, self._planned, self._note = outcome.plan, outcome.planned, outcome.note
            self._show_faults(outcome.faults)
            self._show_cost()
            if self._is_awaited and outcome.plan is None:
                self._is_awaited = False
                self.notify(outcome.note, severity="warning", markup=False)
            elif self._is_awaited and self.is_current:
                self._ask_to_launch(is_late=True)
            self._is_awaited = self._is_awaited and self.is_current

    def _show_cost(self) -> None:
        with_sizes = self._field is not None and self._field.key == "grid.model_size"
        self.query_one(Costs).show(self._note, self._plan, with_sizes=with_sizes)

    # Actions

    def action_go(self, by: int) -> None:
        """To the field above or below; back into the one that was left."""
        if not isinstance(self.focused, (Input, GroupTitle)) and self._left is not None:
            self._show_field(self._left)
            return
        chain = self.focus_chain
        now = chain.index(self.focused) if self.focused in chain else 0
        order = [chain[(now + by * step) % len(chain)] for step in range(1, len(chain))]
        found = next((w for w in order if isinstance(w, Input) or _is_closed(w)), None)
        if found is not None:
            self.set_focus(found)

    def _show_field(self, box: Widget) -> None:
        """Go to a field, and open its group for it."""
        for group in self.query(Group):
            if group.has(box):
                group.open(True)
        box.focus()

    def action_close_group(self) -> None:
        """Close the group of the field that one is in."""
        for group in self.query(Group):
            if group.has(self.focused):
                group.open(False)
                group.query_one(GroupTitle).focus()

    def action_clear_field(self) -> None:
        if isinstance(self.focused, Input):
            self.focused.clear()

    def action_choose(self) -> None:
        """Choose what the field holds from what there is."""
        field = self._field
        if field is None or self.draft is None or not has_choices(field.key):
            words = f"Nothing to choose from here. {field.help}" if field else "Go to a field first: ↓."
            self.notify(words, timeout=4, markup=False)
            return
        from kitui.tui.screens.choose import Choose

        def decided(text: str | None) -> None:
            if text is not None:
                box = self.query_one(f"#{field_id(field.key)}", Input)
                box.value = text
                box.cursor_position = len(text)

        self.app.push_screen(Choose(field_offer(self.draft, field)), decided)

    def action_choose_hosts(self) -> None:
        """Choose where it is trained."""
        from kitui.tui.screens.choose import Choose

        def decided(text: str | None) -> None:
            if text is not None:
                self._hosts = [part.strip() for part in text.split(",")]
                self.notify(f"to be trained on: {', '.join(self._hosts)}", timeout=3, markup=False)

        snapshot = self.kitui.snapshot
        hosts = snapshot.status.hosts if snapshot is not None else []
        self.app.push_screen(Choose(host_offer(self.kitui.workspace, hosts, self._hosts)), decided)

    def action_leave_field(self) -> None:
        self._left = self.focused if isinstance(self.focused, Input) else self._left
        self.set_focus(self.query_one("#costs"))

    def action_save(self) -> None:
        if self.kitui.read_only or self.draft is None:
            self.notify("This view is read-only.", severity="warning")
            return

        def decided(text: str | None) -> None:
            if text and self.draft is not None:
                self._save_as(self.draft.target(Path(text)))

        brought = self.draft.brought(self.draft.path)
        also = f", with {' and '.join(brought)} beside it" if brought else ""
        self.app.push_screen(Ask(f"Save the sweep as{also}", str(self.draft.path)), decided)

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
                lines = [line.plain for line in shown_lines(show_sweep(path, self.kitui.workspace))]
        except (KituiError, OSError) as error:
            lines = [words_of(error)]
        words = printable("\n".join(lines))
        self.app.call_from_thread(self.app.push_screen, Page("facts and questions", [words]))

    def _is_sound(self) -> bool:
        """Whether no field is at fault; goes to the first one that is."""
        faults = self.draft.faults() if self.draft is not None else {}
        first = next((field for field in FIELDS if field.key in faults), None)
        if first is not None:
            self._show_field(self.query_one(f"#{field_id(first.key)}", Input))
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
        self._is_awaited = self._plan is None or self._planned is None
        if self._is_awaited:
            self.notify("Still working out what it takes; the question comes then.", timeout=4)
        else:
            self._ask_to_launch()

    def _ask_to_launch(self, *, is_late: bool = False) -> None:
        self._is_awaited = False
        if self._plan is None or self._planned is None or self.draft is None:
            return
        cells, planned, gpu_hours = self._plan.cells, self._planned, self._plan.gpu_hours
        only_local = self._hosts == [LOCAL]
        where = "this machine" if only_local else ", ".join(self._hosts)
        forecast = f", {duration(self._plan.eta_s)}" if only_local and self._plan.eta_s is not None else ""
        forecast += f" on {counted(self._plan.slots, 'slot')}" if only_local else ""
        brought = " and ".join(self.draft.brought(self.draft.path))
        words = (
            f"Launch {self._plan.sweep} on {where}? {counted(cells.new, 'run')} to train{forecast}. "
            f"It is saved as {self.draft.path}"
            f"{', over the file that is there' if self.draft.would_overwrite(self.draft.path) else ''}"
            f"{f', with {brought} beside it' if brought else ''}."
        )

        def decided(yes: bool | None) -> None:
            if yes and self.draft is not None:
                try:
                    path = self.draft.save()
                except KituiError as error:
                    self.notify(str(error), severity="error", markup=False)
                    return
                self._show_title(self.draft)
                launcher = Launcher(self.kitui, self._hosts, gpu_hours, self._launched)
                launcher.start(as_saved(planned, path))

        self.app.push_screen(Confirm(words, is_late=is_late), decided)

    def _launched(self, name: str) -> None:
        self.kitui.choose_sweep(name)
        self.kitui.go_to("monitor")

    def copy_text(self) -> str:
        return self.draft.document.as_string() if self.draft else ""


def _is_closed(widget: Widget) -> bool:
    """Whether it is the title of a closed group: arrow keys stop there."""
    return isinstance(widget, GroupTitle) and not widget.group.is_open
