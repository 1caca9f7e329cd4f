"""`kitui init`: a commented sweep file to start from."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.errors import SpecError
from kitui.services.samples import sample_path


def write_initial_sweep(path: Path) -> None:
    """Write the commented sweep and, unless they are there, the sample facts and templates beside it."""
    if path.suffix != ".toml":
        raise SpecError("a sweep file's name ends in .toml.", value=str(path), mend=f"Write {path}.toml.")
    if path.exists():
        raise SpecError("it is there already, and is left as it is.", value=str(path), mend="Give another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample_path("initial.toml"), path)
        for name in ("facts.jsonl", "templates.toml"):
            if not (path.parent / name).exists():
                shutil.copyfile(sample_path(name), path.parent / name)
    except OSError as error:
        raise SpecError(f"cannot be written: {error.strerror}.", value=str(path)) from None
