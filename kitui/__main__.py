"""The program: alone it opens the app, otherwise it is the command line. Errors in words, exit codes as documented.

Only this file knows both rooms: the command line is handed the function that opens the app.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from engine.errors import KituiError, SpecError, StateError, is_no_room

if TYPE_CHECKING:
    from engine.records.workspace import Workspace


def main() -> None:
    try:
        if len(sys.argv) == 1 and sys.stdout.isatty():
            # Without typer, which takes a tenth of a second to load: the app is what people wait for.
            from engine.records.workspace import Workspace
            from kitui.services.sweeps import default_workspace

            _open_app(Workspace(default_workspace()))
        else:
            from kitui.cli.main import run

            run(_open_app)
    except KituiError as error:
        _fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader of a pipe has left
        sys.stderr.close()
        raise SystemExit(0) from None
    except OSError as error:  # a file or folder that cannot be read or written
        if error.errno is None:
            raise
        kind = StateError if is_no_room(error) else SpecError
        _fail(kind(f"{os.strerror(error.errno)}.", where=str(error.filename or "")))


def _open_app(workspace: Workspace, sweep: str | None = None, read_only: bool = False) -> None:
    import gc

    gc.disable()  # nothing is garbage yet; run_app turns it on again
    from kitui.tui.app import run_app

    run_app(workspace, sweep, read_only=read_only)


def _fail(error: KituiError) -> None:
    from kitui.cli.console import fail

    fail(error)


if __name__ == "__main__":
    main()
