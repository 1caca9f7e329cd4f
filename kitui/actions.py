"""Every action of the app once: its name, key, label and help. Bindings, palette and help screen all read this list."""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding, BindingType

EVERYWHERE = "everywhere"


class Action(NamedTuple):
    name: str
    """The Textual action: `action_<name>` of the screen or the app."""
    key: str
    label: str
    """In the footer: a word or two."""
    help: str
    where: str
    """A screen's name, or EVERYWHERE."""
    show: bool = True
    """Whether the footer has room for it."""


ACTIONS: tuple[Action, ...] = (
    Action("show_mode('sweeps')", "1", "Sweeps", "All sweeps, their progress and alerts.", EVERYWHERE),
    Action("show_mode('monitor')", "2", "Monitor", "The runs of one sweep, with live curves and log.", EVERYWHERE),
    Action("show_mode('law')", "3", "Law", "Collapse points, the infusion law and its prediction.", EVERYWHERE),
    Action("show_help", "question_mark", "Help", "This list.", EVERYWHERE),
    Action("toggle_light", "f2", "Light/dark", "Switch between a dark and a light theme.", EVERYWHERE, show=False),
    Action("quit", "q", "Quit", "Leave; all runs go on.", EVERYWHERE),
    Action("open_sweep", "enter", "Open", "Open the sweep in the monitor.", "sweeps"),
    Action("cancel", "c", "Cancel", "Cancel the sweep, after a question.", "sweeps"),
    Action("retry", "r", "Retry", "Queue its failed, lost and cancelled runs again.", "sweeps"),
    Action(
        "mark", "space", "Mark", "Mark the run: its learning curve stays, and commands mean all marked runs.", "monitor"
    ),
    Action("unmark_all", "escape", "Unmark", "Unmark all runs.", "monitor", show=False),
    Action(
        "next_plot", "p", "Plot", "Switch between the retention and the learning plot, where only one fits.", "monitor"
    ),
    Action("next_set", "s", "Set", "Next fact set: overall, prior, infused, verbatim, unseen.", "monitor"),
    Action("sort", "o", "Order", "Order the runs by the next column.", "monitor", show=False),
    Action("cancel", "c", "Cancel", "Cancel the run, or all marked ones, after a question.", "monitor"),
    Action("retry", "r", "Retry", "Queue the run, or all marked ones, again.", "monitor", show=False),
    Action("next_plot", "p", "Plot", "Switch between retention and law plot, where only one fits.", "law"),
)


def bindings(where: str) -> list[BindingType]:
    """The Textual bindings of a screen, or of the app itself."""
    return [Binding(a.key, a.name, a.label, tooltip=a.help, show=a.show) for a in ACTIONS if a.where == where]
