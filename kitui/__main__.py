"""The program: alone it opens the app, otherwise it is the command line. Errors in words, exit codes as documented."""

from __future__ import annotations

import os
import sys

from engine.errors import KituiError


def main() -> None:
    try:
        if len(sys.argv) == 1 and sys.stdout.isatty():
            _open_app()
        else:
            from kitui.cli import app

            app()
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
        _fail(KituiError(f"{os.strerror(error.errno)}.", where=str(error.filename or "")))


def _open_app() -> None:
    """Without typer, which takes a tenth of a second to load: the app is what people wait for."""
    import gc

    gc.disable()  # nothing is garbage yet; run_app turns it on again
    from engine.records.workspace import Workspace
    from kitui.app import run_app
    from kitui.sweeps import default_workspace

    run_app(Workspace(default_workspace()))


def _fail(error: KituiError) -> None:
    from kitui.console import fail

    fail(error)


if __name__ == "__main__":
    main()
