"""What a person can ask of the supervisor, and what it answers: files in the workspace's queue folder."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.errors import KituiError
from engine.records.raw_bundle import RawBundle
from engine.records.record import Record


class Launch(Record, frozen=True, kw_only=True, tag_field="command", tag="launch"):
    """Take a sweep in, or its new form; queue the runs that are not done."""

    bundle: RawBundle
    slots: int | None = None
    hosts: tuple[str, ...] | None = None
    priority: int | None = None
    caps: dict[str, float] | None = None


class _Named(Record, frozen=True, kw_only=True, tag_field="command"):
    names: tuple[str, ...]
    """Of sweeps or runs; of hosts, for orders about those."""


class Cancel(_Named, frozen=True, kw_only=True, tag="cancel"):
    """End runs; checkpoints are kept."""


class Pause(_Named, frozen=True, kw_only=True, tag="pause"):
    """End runs after a checkpoint, and start none until they are resumed."""


class Resume(_Named, frozen=True, kw_only=True, tag="resume"):
    """Go on with paused runs."""


class Retry(_Named, frozen=True, kw_only=True, tag="retry"):
    """Queue failed, lost and cancelled runs again, and those whose result is damaged."""


class Mend(_Named, frozen=True, kw_only=True, tag="mend"):
    """Make everything of sweeps anew that is damaged."""


class Archive(_Named, frozen=True, kw_only=True, tag="archive"):
    """Take sweeps out of the lists, or back into them."""

    archived: bool = True


class Delete(_Named, frozen=True, kw_only=True, tag="delete"):
    """Delete sweeps, and the runs that no other sweep wants: into the trash, or at once and for good."""

    for_good: bool = False


class Undelete(_Named, frozen=True, kw_only=True, tag="undelete"):
    """Have sweeps back from the trash."""


class Clean(_Named, frozen=True, kw_only=True, tag="clean"):
    """Remove what nothing refers to; with `weights`, those of these sweeps' ended runs (of all sweeps, without
    names)."""

    weights: bool = False


class Prioritise(_Named, frozen=True, kw_only=True, tag="prioritise"):
    """Have a sweep's runs start before those of sweeps with a lower number."""

    priority: int


class Cap(_Named, frozen=True, kw_only=True, tag="cap"):
    """Limit the hours of slots that a sweep takes on hosts; None takes a limit away."""

    caps: dict[str, float | None]


class Move(_Named, frozen=True, kw_only=True, tag="move"):
    """Have queued runs start on this host."""

    host: str


class Drain(_Named, frozen=True, kw_only=True, tag="drain"):
    """Start nothing more on these hosts; with `now`, end what runs there after a checkpoint."""

    now: bool = False


class Reopen(_Named, frozen=True, kw_only=True, tag="reopen"):
    """Start runs again on hosts that were drained or set aside."""


Order = (
    Cancel
    | Pause
    | Resume
    | Retry
    | Mend
    | Archive
    | Delete
    | Undelete
    | Clean
    | Prioritise
    | Cap
    | Move
    | Drain
    | Reopen
)
"""What is asked about sweeps, runs or hosts by their names."""
Command = Launch | Order


class Launched(Record, frozen=True, kw_only=True, tag_field="answer", tag="launched"):
    """The answer to a launch."""

    sweep: str
    cells: int
    done: int
    """Cells that were trained before."""
    orphaned: int
    """Runs of its earlier form that are no longer part of it."""


class Obeyed(Record, frozen=True, kw_only=True, tag_field="answer", tag="obeyed"):
    """The answer to any other command: how many runs it changed."""

    runs: int = 0
    freed_bytes: int = 0
    """Of this machine's disk."""


class Refused(Record, frozen=True, kw_only=True, tag_field="answer", tag="refused"):
    """The answer to a command that cannot be carried out: an error, in its parts."""

    error: dict[str, str]
    """As `KituiError.to_json` gives it."""

    def raised(self) -> KituiError:
        return KituiError.from_json(self.error)


Answer = Launched | Obeyed | Refused

_COMMAND: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Command)
_ANSWER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Answer)


def decoded_command(content: bytes) -> Command:
    """msgspec.MsgspecError for anything else."""
    command: Command = _COMMAND.decode(content)
    return command


def decoded_answer(content: bytes) -> Answer:
    """msgspec.MsgspecError for anything else."""
    answer: Answer = _ANSWER.decode(content)
    return answer
