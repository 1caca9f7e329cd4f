"""Contamination: which facts, texts and questions stand in the background, or in its held-out part, before anything is
infused.

A fact stands in a passage that has its subject and its object as whole words, at most `WINDOW` tokens apart in one
document (co-occurrence as Kandpal et al. 2023, arXiv 2211.08411, count it, who take whole documents). A text, or a
question of one's own, stands in a corpus that has at least `SHARE` of its n-grams, n = `GRAM` tokens (the rule of
Chowdhery et al. 2022, arXiv 2204.02311, section 8). The token files are looked through once, whatever their size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engine.corpus.background import Background
from engine.corpus.rolling_hash import window_hashes
from engine.corpus.tokenizer import Tokenizer
from engine.records.plan import Contamination
from engine.spec import fact_sets
from engine.spec.facts import Fact, holds_words, is_without_blanks
from engine.spec.runspec import FactSets

WINDOW, GRAM, SHARE = 32, 8, 0.7
_CHUNK_TOKENS, _FILTER_BITS = 2**22, 22
_BESIDE = 4
"""Tokens that are looked at beside a passage: where its words end."""
_NOT_LOOKED_FOR = -1


class _Chunk(NamedTuple):
    """A part of the token stream, with some of what lies before and after it."""

    tokens: np.ndarray
    is_own: slice
    """Of which positions the chunk answers for: of others, its neighbours do."""
    heldout_from: int
    """The position, in it, at which the held-out text begins."""


def contamination(facts: FactSets, tokenizer: Tokenizer, background: Background) -> tuple[Contamination, ...]:
    """What stands in the text, by fact set; and `questions`, where there are any of one's own. DamageError where the
    token files are not those that were written."""
    sets: dict[str, Sequence[Fact]] = {name: getattr(facts, name) for name in fact_sets.DRAWN}
    members = [fact for of_set in sets.values() for fact in of_set]
    sizes = [*map(len, sets.values()), len(facts.own_questions)]
    texts = [facts.texts[fact.subject] for fact in members] if facts.texts else []
    grams = _Grams([*texts, *(own.question for own in facts.own_questions)], tokenizer)
    names = _Names([] if facts.texts else members, tokenizer, background)
    for chunk in _chunks(background, 2 * (WINDOW + names.longest)):
        names.look_through(chunk)
        grams.look_through(chunk)
    passages_2I = np.concatenate([names.passages_2I, grams.are_there_2I], axis=1)
    of_sets = np.split(passages_2I, np.cumsum(sizes)[:-1], axis=1)
    return tuple(
        Contamination(
            of=name,
            num_looked_for=int((found_2I[0] != _NOT_LOOKED_FOR).sum()),
            num_passed_over=int((found_2I[0] == _NOT_LOOKED_FOR).sum()),
            num_in_background=int((found_2I[0] > 0).sum()),
            num_in_heldout=int((found_2I[1] > 0).sum()),
            num_passages=None if facts.texts or name == "questions" else int(found_2I[0].clip(min=0).sum()),
        )
        for name, size, found_2I in zip((*sets, "questions"), sizes, of_sets, strict=True)
        if size
    )


def _chunks(background: Background, margin: int) -> Iterator[_Chunk]:
    whole = background.num_tokens + len(background.heldout)
    for start in range(0, whole, _CHUNK_TOKENS):
        first, end = max(0, start - margin), min(whole, start + _CHUNK_TOKENS)
        tokens = background.read(first, min(whole, end + margin)).astype(np.int64)
        yield _Chunk(tokens, slice(start - first, end - first), background.num_tokens - first)


class _Form(NamedTuple):
    """A name in tokens, and the place of its rarest one, by which it is looked for."""

    name: str
    ids: tuple[int, ...]
    anchor: int


class _Names:
    """Finds I facts by their names. Those in scripts without blanks are passed over: how a name is cut there depends on
    what stands beside it."""

    def __init__(self, facts: Sequence[Fact], tokenizer: Tokenizer, background: Background) -> None:
        self._facts, self._tokenizer = facts, tokenizer
        num_ids = max(tokenizer.backend.get_vocab().values()) + 1
        sample = background.read(0, min(_CHUNK_TOKENS, background.num_tokens))
        counts_V = np.bincount(sample, minlength=num_ids)
        is_looked_for = [not is_without_blanks(fact.subject + fact.object) for fact in facts]
        looked_for = [fact for fact, looked in zip(facts, is_looked_for, strict=True) if looked]
        names = sorted({name for fact in looked_for for name in (fact.subject, fact.object)})
        self._forms = _forms_by_anchor(names, tokenizer, counts_V)
        self._is_anchor_V = np.zeros(len(counts_V), dtype=bool)
        self._is_anchor_V[[*self._forms]] = True
        self._length_of: dict[str, int] = {}
        for form in (form for of_anchor in self._forms.values() for form in of_anchor):
            self._length_of[form.name] = max(len(form.ids), self._length_of.get(form.name, 0))
        self.longest = max(self._length_of.values(), default=0)
        """Tokens of the longest name."""
        self.passages_2I = np.where(is_looked_for, 0, _NOT_LOOKED_FOR) * np.ones((2, 1), dtype=np.int64)
        """In the training part and in the held-out part."""

    def look_through(self, chunk: _Chunk) -> None:
        places = _places(self._forms, self._is_anchor_V, chunk.tokens) if self._facts else {}
        for index, fact in enumerate(self._facts):
            subjects, objects = places.get(fact.subject), places.get(fact.object)
            if subjects is None or objects is None or self.passages_2I[0, index] == _NOT_LOOKED_FOR:
                continue
            length, other_length = self._length_of[fact.subject], self._length_of[fact.object]
            subjects = subjects[(subjects >= chunk.is_own.start) & (subjects < chunk.is_own.stop)]
            firsts = np.searchsorted(objects, subjects - length - WINDOW)
            lasts = np.searchsorted(objects, subjects + WINDOW + other_length, side="right")
            for place, first, last in zip(subjects.tolist(), firsts.tolist(), lasts.tolist(), strict=True):
                near = objects[first:last].tolist()
                apart = (other for other in near if not -length < other - place < other_length)
                if any(self._is_passage(fact, place, other, chunk.tokens) for other in apart):
                    self.passages_2I[int(place >= chunk.heldout_from), index] += 1

    def _is_passage(self, fact: Fact, subject: int, other: int, tokens: np.ndarray) -> bool:
        """Whether both names stand there, apart and as whole words: a name's tokens may be those of a longer word, or
        of the other name."""
        first, last = min(subject, other), max(subject, other)
        before, between, after = (
            tokens[max(0, first - self.longest - _BESIDE) : first + 1],
            tokens[first + 1 : last + 1],
            tokens[last + 1 : last + 1 + _BESIDE],
        )
        bos_id = self._tokenizer.bos_id
        if (between == bos_id).any():
            return False
        before, after = before[_after_last(before, bos_id) :], after[: _until_first(after, bos_id)]
        ids = [*before.tolist(), *between.tolist(), *after.tolist()]
        text = self._tokenizer.backend.decode(ids, skip_special_tokens=False).casefold()
        longer, shorter = sorted((fact.subject.casefold(), fact.object.casefold()), key=len, reverse=True)
        return holds_words(text, longer) and holds_words(text.replace(longer, " · "), shorter)


def _after_last(tokens: np.ndarray, token: int) -> int:
    places = np.flatnonzero(tokens == token)
    return int(places[-1]) + 1 if len(places) else 0


def _until_first(tokens: np.ndarray, token: int) -> int:
    places = np.flatnonzero(tokens == token)
    return int(places[0]) if len(places) else len(tokens)


def _forms_by_anchor(names: Sequence[str], tokenizer: Tokenizer, counts_V: np.ndarray) -> dict[int, list[_Form]]:
    """Each name as it is cut after a blank, and at the beginning of a line."""
    forms = defaultdict[int, list[_Form]](list)
    after_blank, alone = tokenizer.encode_many([f" {name}" for name in names]), tokenizer.encode_many([*names])
    for name, *cuts in zip(names, after_blank, alone, strict=True):
        for ids in {tuple(cut) for cut in cuts if cut}:
            anchor = int(np.argmin(counts_V[[*ids]]))
            forms[ids[anchor]].append(_Form(name, ids, anchor))
    return dict(forms)


def _places(forms: Mapping[int, list[_Form]], is_anchor_V: np.ndarray, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Where names end, their last tokens, by name and in order. A name after a blank may begin with the blank or after
    it, and ends but once."""
    places = np.flatnonzero(is_anchor_V[tokens])
    places = places[np.argsort(tokens[places], kind="stable")]
    anchors, firsts = np.unique(tokens[places], return_index=True)
    found = defaultdict[str, list[np.ndarray]](list)
    for anchor, of_anchor in zip(anchors.tolist(), np.split(places, firsts)[1:], strict=True):
        for name, ids, offset in forms[anchor]:
            begins = of_anchor - offset
            begins = begins[(begins >= 0) & (begins + len(ids) <= len(tokens))]
            for place, token in enumerate(ids):
                begins = begins[tokens[begins + place] == token]
            if len(begins):
                found[name].append(begins + len(ids) - 1)
    return {name: np.unique(np.concatenate(ends)) for name, ends in found.items()}


class _Grams:
    """Finds texts by their n-grams of tokens, as they are cut after a blank and at the beginning of a line; of a text
    that is shorter, all of it is one."""

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer) -> None:
        self._cuts_of: list[tuple[set[int], ...]] = []
        """Of each text, the hashes of its n-grams, for each way in which it may be cut."""
        of_size: dict[int, set[int]] = defaultdict(set)
        after_blank, alone = tokenizer.encode_many([f" {text}" for text in texts]), tokenizer.encode_many([*texts])
        for cuts in zip(after_blank, alone, strict=True):
            hashes_of_cuts = []
            for ids in filter(None, cuts):
                size = min(GRAM, len(ids))
                hashes_of_cuts.append({*window_hashes(np.array(ids, dtype=np.int64))(size).tolist()})
                of_size[size] |= hashes_of_cuts[-1]
            self._cuts_of.append(tuple(hashes_of_cuts))
        self._wanted: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        """By size, the hashes, and which of their first bits there are: most runs of a text have others."""
        for size, wanted in of_size.items():
            hashes_H, may_be = np.array(sorted(wanted), dtype=np.uint64), np.zeros(2**_FILTER_BITS, dtype=bool)
            may_be[_shortened(hashes_H)] = True
            self._wanted[size] = hashes_H, may_be
        self._seen: tuple[set[int], set[int]] = (set(), set())
        """In the training part and in the held-out part."""

    def look_through(self, chunk: _Chunk) -> None:
        if not self._wanted:
            return
        hashes_of = window_hashes(chunk.tokens)
        for size, (wanted, may_be) in self._wanted.items():
            hashes = hashes_of(size)
            places = np.flatnonzero(may_be[_shortened(hashes)])
            places = places[(places >= chunk.is_own.start) & (places < chunk.is_own.stop)]
            places = places[np.isin(hashes[places], wanted)]
            for is_heldout, seen in enumerate(self._seen):
                seen.update(hashes[places[(places >= chunk.heldout_from) == is_heldout]].tolist())

    @property
    def are_there_2I(self) -> np.ndarray:
        """Of I texts, whether enough of them was seen in the training part and in the held-out part."""
        are_there = [
            [any(len(grams & seen) >= SHARE * len(grams) for grams in cuts) for cuts in self._cuts_of]
            for seen in self._seen
        ]
        return np.array(are_there, dtype=np.int64).reshape(2, len(self._cuts_of))


def _shortened(hashes: np.ndarray) -> np.ndarray:
    shortened: np.ndarray = (hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)
    return shortened
