"""Before a sweep is prepared: its tokenizer and what is known of its text, as far as they can be had without writing
anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from engine.corpus.background import check_heldout, fault_in, open_background
from engine.corpus.contamination import contamination
from engine.corpus.documents import read_documents
from engine.corpus.facts import check_distinct
from engine.corpus.tokenizer import Tokenizer, load_tokenizer, make_tokenizer
from engine.errors import DamageError, DataError
from engine.records.plan import Contamination
from engine.records.workspace import Workspace
from engine.spec.resolve import ResolvedSweep
from engine.spec.runspec import CorpusSpec

# Training a tokenizer only to count tokens is worth it up to here.
_LARGEST_PLANNED_TEXT_BYTES = 64 * 2**20
_MOST_TOKENS_LOOKED_THROUGH = 10_000_000
_SAMPLED_DOCUMENTS, _SAMPLED_CHARS = 2_000, 1_000_000


class AtHand(NamedTuple):
    """What is known of a sweep's corpus beforehand; None where it cannot be had yet."""

    tokenizer: Tokenizer | None
    background_tokens: int | None
    unknown_in_text: float | None
    """The share of the background's tokens that the tokenizer does not know."""
    contamination: tuple[Contamination, ...] | None
    """What stands in the text already."""
    notes: tuple[str, ...]
    """The sweep's own, and why anything is only estimated."""


def look_ahead(resolved: ResolvedSweep, workspace: Workspace) -> AtHand:
    """From the token files, where the sweep is prepared already, or else from what is cheap to make. DataError for
    facts that the tokenizer cannot tell apart."""
    corpus = resolved.corpus
    tokens_folder = workspace.tokens(corpus.tokens_id)
    tokenizer, background_tokens, unknown_in_text, contaminated = None, None, None, None
    notes = list(resolved.notes)
    if tokens_folder.exists() and fault_in(tokens_folder, with_text=False) is None:
        tokenizer = load_tokenizer(tokens_folder)
        background = open_background(tokens_folder)
        background_tokens, unknown_in_text = background.num_tokens, background.unknown_share
        if background_tokens <= _MOST_TOKENS_LOOKED_THROUGH:
            with suppress(DamageError):  # made anew when its sweep is prepared
                contaminated = contamination(resolved.facts, tokenizer, background)
    elif _is_cheap(corpus):
        try:
            tokenizer = make_tokenizer(corpus, read_documents(corpus))
        except DataError as error:
            if corpus.tokenizer.kind != "hf" or corpus.tokenizer_hash is not None:
                raise
            notes.append(f"estimated: {error.what}")
        if tokenizer is not None and corpus.background.source != "hub":
            unknown_in_text = _unknown_in_beginning(corpus, tokenizer)
    if tokenizer is None and not any(note.startswith("estimated") for note in notes):
        notes.append("estimated: the tokenizer is made from the background, which is read when the sweep is prepared")
    if tokenizer is not None:
        check_distinct(resolved.facts, tokenizer)
    return AtHand(tokenizer, background_tokens, unknown_in_text, contaminated, tuple(notes))


def _unknown_in_beginning(corpus: CorpusSpec, tokenizer: Tokenizer) -> float:
    """The share of unknown tokens at the beginning of the text. DataError where that is all, and too little."""
    beginning = [*_first_of(read_documents(corpus))]
    if len(beginning) < _SAMPLED_DOCUMENTS and sum(map(len, beginning)) <= _SAMPLED_CHARS:
        num_tokens = sum(len(ids) + 1 for ids in tokenizer.encode_many(beginning))
        check_heldout(num_tokens, corpus.background.heldout_tokens)
    return tokenizer.unknown_share(beginning)


def _first_of(documents: Iterable[str]) -> Iterator[str]:
    """As much of a text as shows what it is like."""
    num_chars = 0
    for document in islice(documents, _SAMPLED_DOCUMENTS):
        yield document
        num_chars += len(document)
        if num_chars > _SAMPLED_CHARS:
            return


def _is_cheap(corpus: CorpusSpec) -> bool:
    if corpus.tokenizer.kind == "hf" or corpus.background.source == "builtin":
        return True
    sizes = [Path(p).stat().st_size for p in corpus.background.paths]
    return corpus.background.source == "files" and sum(sizes) <= _LARGEST_PLANNED_TEXT_BYTES
