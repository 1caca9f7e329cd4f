"""The errors that a person may see: what is wrong, where, with which value, and how to mend it.

Every message is one paragraph in the form ``where: key = value: what is wrong. Mend.``  Each class carries
the exit code of the command line, and crosses a process boundary as JSON (`to_json`, `from_json`), so that a
fault found by a subprocess reads just like one found here.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

NOT_GIVEN: Any = object()
FAULT_IN_INPUTS = 2
"""The exit code where what was asked for cannot be done: another try gives the same."""
DAMAGED = 65
"""The exit code (EX_DATAERR) of a run whose files are not what was written: it can go on once they are made again."""
STOPPED_AFTER_CHECKPOINT = 75
"""The exit code (EX_TEMPFAIL) of a run that wrote a checkpoint and ended because it was asked to."""


NO_ROOM = 73
"""The exit code (EX_CANTCREAT) of what could not write: it is to be tried again when there is room."""
_NO_ROOM_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)


def is_no_room(error: BaseException) -> bool:
    """Whether it says that a disk is full or cannot be written, or that files are at their limit: it passes, and says
    nothing against what was tried."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM_ERRNOS


class KituiError(Exception):
    """Base of all errors meant for people.

    `what` says what is wrong; `where` is a file, folder or host; `key` and `value` name the setting and what
    it holds; `mend` says what to do.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", key: str = "", value: Any = NOT_GIVEN, mend: str = "") -> None:
        self.what, self.where, self.key, self.mend = what, str(where), key, mend
        self.value = "" if value is NOT_GIVEN else _shown(value)
        super().__init__(self.message)

    @property
    def message(self) -> str:
        setting = f"{self.key} = {self.value}" if self.key and self.value else self.key or self.value
        place = ": ".join(part for part in (self.where, setting) if part)
        return " ".join(part for part in (f"{place}: {self.what}" if place else self.what, self.mend) if part)

    def __str__(self) -> str:
        return self.message

    def to_json(self) -> dict[str, str]:
        parts = {name: getattr(self, name) for name in ("what", "where", "key", "value", "mend")}
        return {"error": type(self).__name__, **parts}

    @staticmethod
    def from_json(data: dict[str, str]) -> KituiError:
        error = _BY_NAME.get(data.get("error", ""), KituiError)(
            data.get("what", ""), where=data.get("where", ""), key=data.get("key", ""), mend=data.get("mend", "")
        )
        error.value = data.get("value", "")
        return error


class SpecError(KituiError):
    """The sweep file, a table or an argument is wrong (exit 2)."""

    exit_code = FAULT_IN_INPUTS


class DataError(KituiError):
    """Facts, templates, text or results cannot be read or used (exit 2)."""

    exit_code = FAULT_IN_INPUTS


class LaunchError(KituiError):
    """There is nothing to run it on (exit 3)."""

    exit_code = 3


class StateError(KituiError):
    """The workspace's state cannot be read or written, or another process holds it (exit 3)."""

    exit_code = 3


class DamageError(StateError):
    """A file of the workspace is not what was written into it (exit 3)."""


class FitError(KituiError):
    """The data cannot answer the question (exit 4)."""

    exit_code = 4


_CLASSES = (KituiError, SpecError, DataError, LaunchError, StateError, DamageError, FitError)
_BY_NAME = {cls.__name__: cls for cls in _CLASSES}


_MOST_TOLD = 20


def together(errors: Sequence[KituiError]) -> KituiError:
    """All faults of a file as one error: the first in its fields, the others a line each after it, as far as twenty."""
    first, *others = errors
    told = [error.message for error in others[: _MOST_TOLD - 1]]
    if len(errors) > _MOST_TOLD:
        told.append(f"… and {len(errors) - _MOST_TOLD:,} more like these.")
    all_of_it = type(first)(
        first.what, where=first.where, key=first.key, mend="\n".join(part for part in (first.mend, *told) if part)
    )
    all_of_it.value = first.value
    all_of_it.args = (all_of_it.message,)
    return all_of_it


def nearest(name: str, known: Sequence[str]) -> str:
    """'Did you mean X?' for the closest known name, or the list of all of them where none is close; '' of no names."""
    return near(name, known) or (f"Known: {', '.join(known)}." if known else "")


def near(name: str, known: Sequence[str]) -> str:
    """'Did you mean X?' for the closest known name; '' where none is close."""
    from difflib import get_close_matches  # only needed once something has gone wrong

    close = get_close_matches(str(name).lower(), [k.lower() for k in known], n=1, cutoff=0.6)
    return f"Did you mean {next(k for k in known if k.lower() == close[0])}?" if close else ""


def _shown(value: Any) -> str:
    try:
        text = repr(value) if isinstance(value, str) else str(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists in lists
        text = f"a {type(value).__name__} too long to show"
    text = "".join(c if c.isprintable() else "�" for c in text)
    return text if len(text) <= 120 else text[:117] + "…"
