"""`kitui clean`: what could go is shown and, unless it is only to be shown, asked about and removed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from engine.errors import SpecError
from engine.records.leftovers import num_bytes
from engine.records.workspace import Workspace
from kitui.cli.asking import confirm, with_current_supervisor
from kitui.cli.console import note, out, print_json
from kitui.services.cleaning import as_removed, clean, leftover_lines, leftovers
from kitui.services.format import size_of_bytes


def clean_workspace(
    workspace: Workspace, names: Sequence[str], *, weights: bool, dry_run: bool, yes: bool, json: bool
) -> None:
    """Nothing is removed where the answer is no, or where there is nobody to ask and no --yes."""
    found = leftovers(workspace, names, weights=weights)
    if not json:
        for line in leftover_lines(found) or ["nothing can go"]:
            out().print(line, soft_wrap=True)
        for words in found.kept:
            out().print(f"kept: {words}", soft_wrap=True)
    if found.found and not dry_run:
        if not yes:
            if not sys.stdin.isatty() or json:
                raise SpecError("nothing is removed without a question.", key="--yes", mend="Give --yes in a script.")
            confirm(f"Remove this for good, {size_of_bytes(num_bytes(found.found))} in all?")
        note(with_current_supervisor(workspace, lambda: clean(workspace, names, weights=weights, found=found)))
        found = as_removed(found)
    if json:
        print_json(found)
