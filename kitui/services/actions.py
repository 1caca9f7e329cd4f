"""Every action of the app once: its name, keys, label and help. Bindings, palette, help screen, `kitui keys` and the
remapping in the configuration file all read this list. No Textual here: the command line lists the keys too."""

from __future__ import annotations

from typing import NamedTuple

from engine.spec.fact_sets import NAMES

EVERYWHERE = "everywhere"
PLACES = {
    EVERYWHERE: "Everywhere",
    "sweeps": "Sweeps",
    "designer": "Designer",
    "monitor": "Monitor",
    "law": "Law",
    "hosts": "Hosts",
    "table": "In a table",
    "plot": "In a plot (reach it with tab)",
    "map": "In the map",
    "group": "On the title of a group of fields",
    "log": "In the log",
    "filter": "In the filter",
    "choose": "In a list to choose from",
    "confirm": "In a question of yes or no",
    "ask": "In a question for a line of text",
    "page": "In a page of text",
    "help": "In the help",
}


class Action(NamedTuple):
    """Something a key does, and where."""

    name: str
    """The Textual action: `action_<name>` of the screen, the widget or the app."""
    key: str
    """One key or several, separated by commas."""
    label: str
    """In the footer: a word or two."""
    help: str
    where: str
    """A key of PLACES."""
    show: bool = True
    """Whether the footer has room for it."""

    @property
    def id(self) -> str:
        """What the configuration file calls it: `monitor.cancel`, `plot.zoom_in`."""
        return f"{self.where}.{self.label.lower().replace(' ', '_')}"


def _everywhere(name: str, key: str, label: str, help: str, show: bool = True) -> Action:
    return Action(name, key, label, help, EVERYWHERE, show)


ACTIONS: tuple[Action, ...] = (
    _everywhere("show_mode('sweeps')", "1", "Sweeps", "All sweeps, their progress and alerts; what changed since."),
    _everywhere("show_mode('designer')", "2", "Designer", "Build or change a sweep, see what it costs, launch it."),
    _everywhere("show_mode('monitor')", "3", "Monitor", "The runs of one sweep, with live curves and log."),
    _everywhere("show_mode('law')", "4", "Law", "Collapse points, the infusion law and its prediction."),
    _everywhere("show_mode('hosts')", "5", "Hosts", "The machines that runs go to: how they stand, are they fit."),
    _everywhere("show_help", "question_mark,f1", "Help", "What the keys do here."),
    _everywhere("command_palette", "ctrl+p", "Palette", "Find an action by its name.", show=False),
    _everywhere("next_theme", "f2", "Theme", "Dark, light, the terminal's own colours, high contrast.", show=False),
    _everywhere("freeze", "f3", "Freeze", "Hold the display still; what comes in is kept and shown afterwards.", False),
    _everywhere("screen.save_figure", "E", "Figure", "Save the plot as SVG, PDF or PNG.", show=False),
    _everywhere("screen.enlarge", "z", "Enlarge", "The pane with the focus alone; then all again.", show=False),
    _everywhere("copy", "y", "Copy", "Copy the name of what the cursor is on, also through SSH and tmux.", show=False),
    _everywhere("suspend_process", "ctrl+z", "Suspend", "Back to the shell; fg comes back here.", show=False),
    _everywhere("copy_table", "Y", "Copy table", "Copy the table, or the law, as Markdown.", show=False),
    _everywhere("show_said", "f4", "History", "What was said in the corner, with its time.", show=False),
    _everywhere("quit", "q", "Quit", "Leave; all runs go on."),
    Action("open_sweep", "enter", "Open", "Open the sweep in the monitor.", "sweeps"),
    Action("new_sweep", "n", "New", "Design a new sweep.", "sweeps"),
    Action("edit_sweep", "e", "Edit", "Change or extend this sweep in the designer.", "sweeps"),
    Action("mark", "space", "Mark", "Mark the sweep, to compare it.", "sweeps", show=False),
    Action("compare", "equals_sign", "Compare", "Compare the two marked sweeps: settings, curves, F*.", "sweeps"),
    Action("search", "slash", "Search", "Show only sweeps with these words in their names.", "sweeps"),
    Action("sort", "o", "Sort", "Sort by name, date, progress, faults, ETA.", "sweeps", show=False),
    Action("unmark_all", "escape", "Unmark", "Unmark all; end the search.", "sweeps", show=False),
    Action("cancel", "c", "Cancel", "Cancel the sweep, after a question.", "sweeps"),
    Action("retry", "r", "Retry", "Queue its failed, lost and cancelled runs again.", "sweeps", show=False),
    Action("pause", "p", "Pause", "End its running runs after a checkpoint, and start none until resumed.", "sweeps"),
    Action("resume", "u", "Resume", "Go on with what was paused.", "sweeps", show=False),
    Action(
        "archive", "a", "Archive", "Take the sweep out of this list, or back into it; nothing is lost.", "sweeps", False
    ),
    Action("show_archived", "A", "Archived", "Show archived sweeps too.", "sweeps", show=False),
    Action("delete", "delete,D", "Delete", "Delete the sweep and the runs that no other sweep wants.", "sweeps", False),
    Action("launch", "ctrl+l", "Launch", "Launch the sweep as it is here.", "designer"),
    Action("save", "ctrl+s", "Save", "Save the sweep file; comments are kept.", "designer"),
    Action("load", "ctrl+o", "Open", "Open a sweep file.", "designer"),
    Action(
        "choose",
        "ctrl+t",
        "Choose",
        "Choose from what there is: sizes, files with a look inside, relations.",
        "designer",
    ),
    Action("choose_hosts", "ctrl+k", "Hosts", "Choose where it is trained: this machine, others.", "designer", False),
    Action("close_group", "ctrl+g", "Close group", "Close the group of this field.", "designer", show=False),
    Action("clear_field", "ctrl+u", "Clear", "Empty the field, to type another value.", "designer", show=False),
    Action("preview", "ctrl+r", "Preview", "Render some facts and questions.", "designer"),
    Action(
        "leave_field", "escape", "Leave field", "Leave the field: single keys mean actions.", "designer", show=False
    ),
    Action("go(1)", "down", "Next", "The field below.", "designer", show=False),
    Action("go(-1)", "up", "Previous", "The field above.", "designer", show=False),
    Action("filter", "slash", "Filter", "Show only some runs: params>1M and state=running.", "monitor"),
    Action("group", "g", "Group", "One line a run, or one a cell: mean ± sd of its seeds.", "monitor"),
    Action("sort(1)", "o", "Sort", "Sort by the next column.", "monitor"),
    Action("sort(-1)", "O", "Sort back", "Sort by the column before.", "monitor", show=False),
    Action("invert_sort", "i", "Invert", "Turn the order round.", "monitor", show=False),
    Action("mark", "space", "Mark", "Mark: its learning curve stays, and commands mean all marked.", "monitor"),
    Action("mark_all", "a", "Mark all", "Mark all that is shown, or nothing.", "monitor", show=False),
    Action("pin", "t", "Pin", "Keep the line on top and its curve in the plot.", "monitor", show=False),
    Action("unmark_all", "escape", "Unmark", "Unmark all; leave the filter.", "monitor", show=False),
    Action("next_set", "s", "Set", f"Next fact set: {', '.join(NAMES)}; loss.", "monitor"),
    Action("next_plot", "v", "View", "Retention or learning plot, where only one fits.", "monitor", show=False),
    Action("next_pane", "b", "Pane", "Below: events, slots, hosts, alerts.", "monitor", show=False),
    Action("open_run", "enter", "Run", "All about the run; of marked ones, what differs between them.", "monitor"),
    Action("open_log", "l", "Log", "The whole log of the run.", "monitor"),
    Action("cancel", "c", "Cancel", "Cancel the run, or all marked ones, after a question.", "monitor"),
    Action("retry", "r", "Retry", "Queue the run, or all marked ones, again.", "monitor", show=False),
    Action("pause", "p", "Pause", "Pause the run, or all marked ones, after a question.", "monitor", show=False),
    Action("resume", "u", "Resume", "Go on with paused runs.", "monitor", show=False),
    Action("next_set", "s", "Set", f"Next fact set: {', '.join(NAMES)}.", "law"),
    Action("next_law", "n", "Condition", "Next condition: budget, templates, fill.", "law"),
    Action("show_map", "m", "Map", "The whole study in one picture; the plots again.", "law"),
    Action("predict", "t", "Target", "Type a target size and budget.", "law"),
    Action("next_arm", "a", "Arm", "Show another sweep's curves with these: the neutral arm, say.", "law"),
    Action("next_axis", "e", "Over", "Retention over F, prior facts' exposures, infused share.", "law"),
    Action("next_plot", "v", "View", "Retention or law plot, where only one fits.", "law", show=False),
    Action("leave_field", "escape", "Leave field", "Leave the field, so that single keys mean actions.", "law", False),
    Action("check", "c,enter", "Check", "Try each step: reach, Python, disk, GPUs, clock, sbatch.", "hosts"),
    Action("drain", "d", "Drain", "Start nothing more there; what runs there goes on to its end.", "hosts"),
    Action("move_off", "m", "Move off", "End its runs after a checkpoint and start them elsewhere.", "hosts"),
    Action("reopen", "o", "Reopen", "Start runs there again, after a drain or failures in a row.", "hosts"),
    Action("move(-1)", "up,k", "Up", "The line above.", "table", show=False),
    Action("move(1)", "down,j", "Down", "The line below.", "table", show=False),
    Action("page(-1)", "pageup,ctrl+b", "Page up", "A page up.", "table", show=False),
    Action("page(1)", "pagedown,ctrl+f", "Page down", "A page down.", "table", show=False),
    Action("move_to(0)", "home", "First", "The first line.", "table", show=False),
    Action("move_to(-1)", "end,G", "Last", "The last line.", "table", show=False),
    Action("zoom(1.5)", "plus,equals_sign", "Zoom in", "Zoom in, around the value cursor.", "plot"),
    Action("zoom(0.667)", "minus", "Zoom out", "Zoom out.", "plot"),
    Action("pan(-1, 0)", "left", "Left", "Move the view, or the value cursor, to the left.", "plot", show=False),
    Action("pan(1, 0)", "right", "Right", "Move the view, or the value cursor, to the right.", "plot", show=False),
    Action("pan(0, 1)", "up", "Up", "Move the view up.", "plot", show=False),
    Action("pan(0, -1)", "down", "Down", "Move the view down.", "plot", show=False),
    Action("toggle_value_cursor", "enter", "Values", "Read values at a place.", "plot"),
    Action("choose_entry(1)", "n", "Next curve", "The next entry of the legend.", "plot", show=False),
    Action("choose_entry(-1)", "N", "Curve before", "The entry before.", "plot", show=False),
    Action("switch_entry", "space", "On or off", "Switch the chosen curve off, or on again.", "plot", show=False),
    Action("isolate_entry", "i", "Alone", "The chosen curve alone; then all again.", "plot"),
    Action("toggle_log('x')", "x", "Log x", "Log or linear x axis.", "plot"),
    Action("toggle_log('y')", "Y", "Log y", "Log or linear y axis.", "plot", show=False),
    Action("toggle_smoothing", "m", "Smooth", "Running mean; the title says so.", "plot"),
    Action("leave", "escape", "Leave", "Leave the value cursor, or the plot.", "plot", show=False),
    Action("reset_view", "0", "Reset", "The whole picture again.", "plot"),
    Action("go(-1, 0)", "up,k", "Up", "The next larger size.", "map", show=False),
    Action("go(1, 0)", "down,j", "Down", "The next smaller size.", "map", show=False),
    Action("go(0, -1)", "left,h", "Left", "The next lower frequency.", "map", show=False),
    Action("go(0, 1)", "right,l", "Right", "The next higher frequency.", "map", show=False),
    Action("open_cell", "enter", "Open", "The runs of the cell, in the monitor.", "map"),
    Action("leave", "escape", "Leave", "Back to the words.", "map", show=False),
    Action("open_group", "enter,space,right", "Open", "Open the group of fields, or close it.", "group"),
    Action("close", "escape,q", "Close", "Back to the monitor.", "log"),
    Action("next_file", "tab", "File", "The log in sentences, the run's own output, its metrics.", "log"),
    Action("follow", "f", "Follow", "Stay at the end as lines come.", "log"),
    Action("search", "slash", "Search", "Search for a text.", "log"),
    Action("again(1)", "n", "Next", "The next place.", "log"),
    Action("again(-1)", "N", "Previous", "The place before.", "log", show=False),
    Action("scroll(-1)", "up,k", "Up", "A line up.", "log", show=False),
    Action("scroll(1)", "down,j", "Down", "A line down.", "log", show=False),
    Action("scroll_page(-1)", "pageup,ctrl+b", "Page up", "A page up.", "log", show=False),
    Action("scroll_page(1)", "pagedown,ctrl+f,space", "Page down", "A page down.", "log", show=False),
    Action("sideways(-1)", "left", "Left", "Half a width to the left.", "log", show=False),
    Action("sideways(1)", "right", "Right", "Half a width to the right: long lines.", "log", show=False),
    Action("to_start", "home,g", "Start", "The first line.", "log", show=False),
    Action("to_end", "end,G", "End", "The last line.", "log", show=False),
    Action("leave", "escape,enter,down", "Leave", "Back to the table; what is typed holds.", "filter", show=False),
    Action("mark", "space", "Mark", "Mark it, where several may be chosen.", "choose"),
    Action("take", "enter", "Take", "Take what is marked; go into a folder.", "choose"),
    Action("leave", "escape", "Leave", "Leave all as it was.", "choose"),
    Action("answer(True)", "y", "Yes", "Do it.", "confirm"),
    Action("accept", "enter", "Enter", "Do it.", "confirm", show=False),
    Action("answer(False)", "n,escape", "No", "Leave all as it is.", "confirm"),
    Action("take", "enter", "Take", "Take the line as it stands.", "ask"),
    Action("leave", "escape", "Leave", "Leave all as it was.", "ask"),
    Action("dismiss", "escape,q,enter", "Close", "Back to the screen below.", "page"),
    Action("next_part", "w,tab", "Words", "What the words mean; the keys again.", "help"),
    Action("dismiss", "escape,question_mark,f1,q", "Close", "Back to the screen below.", "help"),
)


def is_for_field(key: str) -> bool:
    """Whether a field takes the key for itself."""
    return len(key_name(key)) == 1 or key in ("space", "enter")


def key_name(key: str) -> str:
    """Keys as people name them."""
    names = {
        "question_mark": "?", "slash": "/", "equals_sign": "=", "plus": "+", "minus": "-", "escape": "esc",
        "pageup": "pgup", "pagedown": "pgdn", "delete": "del",
    }  # fmt: skip
    return " ".join(names.get(part, part.replace("ctrl+", "^")) for part in key.split(","))
