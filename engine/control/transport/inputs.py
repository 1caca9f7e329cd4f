"""What a sweep reads from files of this machine, and the same sweep with those files where they lie on a host: below
`inputs/` in the workspace there, by their content. Names of runs and token files do not depend on where a file lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:  # pydantic with them, which those who only look do not need
    from engine.records.bundle import SweepBundle
    from engine.spec.runspec import CorpusSpec, RunSpec


class Input(NamedTuple):
    """A file or folder here, and the folder below the workspace there that it goes into."""

    source: Path
    folder: str

    def path(self, workspace: str) -> str:
        """Where it lies there."""
        return f"{workspace}/{self.folder}/{self.source.name}"


def inputs_of(bundle: SweepBundle) -> list[Input]:
    """Everything that has to be there before a sweep is prepared and trained."""
    background = [_input(path, digest) for path, digest in _background(bundle.corpus)]
    tokenizer = bundle.corpus.tokenizer.name if bundle.corpus.tokenizer_hash else None
    others = [_input(tokenizer, str(bundle.corpus.tokenizer_hash))] if tokenizer else []
    inits = {(run.init_from, run.init_hash) for run in bundle.runs if run.init_from and run.init_hash}
    return [*background, *others, *(_input(str(path), str(digest)) for path, digest in sorted(inits, key=str))]


def relocated_bundle(bundle: SweepBundle, workspace: str) -> SweepBundle:
    """The bundle as a host's preparation reads it."""
    runs = tuple(relocated_run(run, workspace) for run in bundle.runs)
    return msgspec.structs.replace(bundle, corpus=_relocated_corpus(bundle.corpus, workspace), runs=runs)


def relocated_run(run: RunSpec, workspace: str) -> RunSpec:
    """The spec as a host's training reads it."""
    if not (run.init_from and run.init_hash):
        return run
    return run.model_copy(update={"init_from": _input(run.init_from, run.init_hash).path(workspace)})


def _relocated_corpus(corpus: CorpusSpec, workspace: str) -> CorpusSpec:
    changes: dict[str, object] = {}
    moved = {_input(path, digest).path(workspace): digest for path, digest in _background(corpus)}
    if moved:
        changes["background"] = corpus.background.model_copy(update={"path": tuple(moved)})
        changes["background_hashes"] = moved
    if corpus.tokenizer.name and corpus.tokenizer_hash:
        name = _input(corpus.tokenizer.name, corpus.tokenizer_hash).path(workspace)
        changes["tokenizer"] = corpus.tokenizer.model_copy(update={"name": name})
    return corpus.model_copy(update=changes)


def _background(corpus: CorpusSpec) -> list[tuple[str, str]]:
    return list(corpus.background_hashes.items()) if corpus.background.source == "files" else []


def _input(path: str, digest: str) -> Input:
    return Input(Path(path), f"inputs/{digest[:16]}")
