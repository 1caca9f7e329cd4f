"""A sweep's plan: what its facts, its text and its models come to in tokens, FLOP and memory; the ceiling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engine.corpus.facts import all_texts, block_questions, check_distinct_pieces, infused_renderings, prior_renderings
from engine.corpus.mixture import planned_prior_exposures, tokens_on_top
from engine.corpus.schedule import ceiling, fits
from engine.corpus.tokenizer import Tokenizer
from engine.errors import DataError, SpecError
from engine.records.plan import Ceiling, Contamination, Plan, PlannedAnalysis, PlannedCell
from engine.spec import fact_sets
from engine.spec.axes import Axis
from engine.spec.runspec import FactSets, RunSpec

# Where no tokenizer can be had: English runs at about 4 characters a token under the usual 32k to 128k vocabularies.
_GUESSED_CHARS_PER_TOKEN = 4.0
_GUESSED_VOCAB_SIZE = 50_257
_MOST_UNKNOWN = 0.01


def plan_of(
    runs: tuple[RunSpec, ...],
    facts: FactSets,
    tokenizer: Tokenizer | None,
    *,
    name: str,
    where: str,
    notes: tuple[str, ...],
    analysis: PlannedAnalysis,
    axes: Sequence[Axis],
    background_tokens: int | None,
    unknown_in_text: float | None,
    contamination: tuple[Contamination, ...] | None,
) -> Plan:
    """The plan of these runs, one a cell. `unknown_in_text`: the share of tokens of the background that the tokenizer
    does not know. SpecError for a dose that does not pack."""
    first = runs[0]
    length = first.training.context_length
    most_templates = max(run.num_templates for run in runs)
    vocab_size = tokenizer.vocab_size if tokenizer else None
    if tokenizer is None:
        characters = [len(facts.texts.get(f.subject, "")) or len(f.subject) + len(f.object) + 20 for f in facts.infused]
        tokens_per_fact = sum(characters) / len(characters) / _GUESSED_CHARS_PER_TOKEN
    else:
        infused = infused_renderings(facts, most_templates, tokenizer, length)
        prior = prior_renderings(facts, first, tokenizer)
        check_distinct_pieces(facts, tokenizer, length)
        tokens_per_fact = float(infused.lengths_FT.mean())
        for fact_set, renderings in (("infused", infused), ("prior", prior)):
            _check_lengths(renderings.lengths_FT, length, fact_set, where)
        _check_vocabularies(runs, tokenizer, where)
        _check_questions(facts, first, tokenizer, where)

        for num_tokens in sorted({run.num_tokens for run in runs}):
            _check_prior(prior.lengths_FT, first, num_tokens, where)
    ceilings = _ceilings(runs, infused.lengths_FT if tokenizer else None, tokens_per_fact * len(facts.infused))
    _check_below(ceilings, runs, len(facts.infused), tokens_per_fact, where)
    unknown = None if tokenizer is None else unknown_in_facts(facts, tokenizer)
    costs = {run.model.name: _costs_of_size(run, vocab_size or _GUESSED_VOCAB_SIZE) for run in _one_a_size(runs)}
    cells = tuple(
        _cell(run, axes, costs, run.num_tokens + tokens_on_top(run, infused) if tokenizer else None) for run in runs
    )
    return Plan(
        sweep=name,
        estimated=tokenizer is None,
        evaluation_id=first.evaluation_id,
        facts_id=first.facts_id,
        tokens_id=first.tokens_id,
        fill=next((run.mixture.fill for run in runs if run.frequency), first.mixture.fill),
        mixture=first.mixture.kind,
        stages=next((f"two, replay {run.stages.replay_share:g}" for run in runs if run.stages), None),
        num_infused_facts=len(facts.infused),
        num_prior_facts=len(facts.prior),
        num_choices=first.evaluation.num_choices,
        vocab_size=vocab_size,
        tokens_per_fact=tokens_per_fact,
        prior_exposures=first.mixture.prior_rate * first.num_tokens / 1e6,
        background_tokens=background_tokens,
        unknown_in_facts=unknown,
        unknown_in_background=unknown_in_text,
        contamination=contamination,
        ceilings=tuple(ceilings.values()),
        analysis=analysis,
        cells=cells,
        notes=tuple(
            dict.fromkeys(  # those of an earlier plan may be among them
                (
                    *notes,
                    *unknown_words(unknown, unknown_in_text),
                    *contamination_words(contamination or (), "texts" if facts.texts else "facts"),
                )
            )
        ),
    )


def _ceilings(
    runs: Sequence[RunSpec], lengths_FT: np.ndarray | None, tokens_per_dose: float
) -> dict[tuple[int, int], Ceiling]:
    """By D and number of templates. `lengths_FT`: of the infused renderings; without them, the ceiling is a guess by
    the tokens that writing each fact once takes."""
    first = runs[0]
    ceilings = {}
    for num_tokens in sorted({run.num_tokens for run in runs}):
        for templates in sorted({run.num_templates for run in runs}):
            top = None
            if first.mixture.kind == "displace" and lengths_FT is not None:
                length = first.training.context_length
                top = ceiling(lengths_FT[:, :templates], num_tokens // length, length)
            elif first.mixture.kind == "displace":
                top = int(num_tokens / tokens_per_dose)
            ceilings[num_tokens, templates] = Ceiling(
                num_tokens=num_tokens, num_templates=templates, ceiling_frequency=top
            )
    return ceilings


def _check_below(
    ceilings: Mapping[tuple[int, int], Ceiling],
    runs: Sequence[RunSpec],
    num_infused: int,
    tokens_per_fact: float,
    where: str,
) -> None:
    """SpecError for a dose above its ceiling."""
    for run in runs:
        top = ceilings[run.num_tokens, run.num_templates].ceiling_frequency
        if top is not None and run.frequency > top:
            raise SpecError(
                f"above the ceiling: {run.num_tokens:,} tokens hold {num_infused:,} facts of "
                f"{tokens_per_fact:.1f} tokens at most {top:,} times each.",
                where=where,
                key="grid.infusion_frequency",
                value=run.frequency,
                mend=f"Use {top:,} or less, more tokens, or fewer infused facts.",
            )


def _check_vocabularies(runs: Sequence[RunSpec], tokenizer: Tokenizer, where: str) -> None:
    for run in _one_a_size(runs):
        rows = run.model.vocab_rows
        if rows is not None and rows < tokenizer.vocab_size:
            raise SpecError(
                f"the checkpoint of {run.model.name} knows {rows:,} tokens, the tokenizer {tokenizer.vocab_size:,}.",
                where=where,
                key="tokenizer",
                mend="Use the tokenizer that the checkpoint was trained with.",
            )


def _check_questions(facts: FactSets, first: RunSpec, tokenizer: Tokenizer, where: str) -> None:
    """SpecError for a question that is longer than a row, DataError for one whose choices are the same to the
    tokenizer."""
    length, longest = first.training.context_length, 0
    for name in fact_sets.ASKED:
        blocks, questions = block_questions(facts, name, first.evaluation, tokenizer)
        choices_of = (block.choices for block in blocks for _ in block.facts)
        for question, choices in zip(questions, choices_of, strict=True):
            longest = max(longest, len(question.context) + max(map(len, question.choices)))
            if len({*map(tuple, question.choices)}) < len(choices):
                raise DataError(
                    "the tokenizer cannot tell these choices apart.",
                    where=where,
                    key="tokenizer",
                    value=", ".join(choices),
                    mend="Use another tokenizer, or a larger tokenizer.vocab_size.",
                )
    if longest > length:
        raise SpecError(
            f"a question of {longest} tokens is longer than a row.",
            where=where,
            key="training.context_length",
            value=length,
            mend="Use a longer context, or shorter questions.",
        )


def unknown_in_facts(facts: FactSets, tokenizer: Tokenizer) -> float:
    """The share of tokens of all facts, as they may be written and asked, that the tokenizer does not know."""
    texts = [text for fact in facts.drawn for text in all_texts(facts, fact).values()]
    texts += [text for own in facts.own_questions for text in (own.question, *own.choices)]
    texts += facts.description_texts
    return tokenizer.unknown_share(texts)


def unknown_words(in_facts: float | None, in_text: float | None) -> list[str]:
    """A warning for each of them that is more than a stray letter."""
    mend = "what differs in them reads alike; another tokenizer, or a larger tokenizer.vocab_size, knows more"
    return [
        f"{share:.1%} of the tokens of {what} are unknown to the tokenizer: {mend}"
        for what, share in (("the facts", in_facts), ("the background", in_text))
        if share is not None and share > _MOST_UNKNOWN
    ]


def contamination_words(found: Sequence[Contamination], members: str) -> list[str]:
    """A warning for each set of which something stands in the text already."""
    words = []
    for one in found:
        what = "questions of your own" if one.of == "questions" else f"{one.of} {members}"
        passages = f", in {one.num_passages:,} passages" if one.num_passages else ""
        if one.num_in_background:
            words.append(
                f"{one.num_in_background:,} of {one.num_looked_for:,} {what} stand in the background as it is"
                f"{passages}: runs learn of them from there, too"
            )
        if one.num_passed_over:
            words.append(
                f"{one.num_passed_over:,} {what} were not looked for in the background: their script puts no blanks "
                "between words"
            )
        if one.num_in_heldout:
            words.append(
                f"{one.num_in_heldout:,} of {one.num_looked_for:,} {what} stand in the held-out text: its loss falls "
                "where they are learned"
            )
    return words


def _check_prior(lengths_FT: np.ndarray, first: RunSpec, num_tokens: int, where: str) -> None:
    """SpecError if the prior facts, as often as asked, do not pack into D tokens."""
    length, rate = first.training.context_length, first.mixture.prior_rate
    rows = num_tokens // length
    if not fits(lengths_FT, planned_prior_exposures(rate, num_tokens), rows, length):
        raise SpecError(
            f"the prior facts alone do not pack into {num_tokens:,} tokens.",
            where=where,
            key="mixture.prior_rate",
            value=rate,
            mend=f"At most {ceiling(lengths_FT, rows, length) * 1e6 / num_tokens:.0f} a million tokens fit.",
        )


class _Costs(NamedTuple):
    """What is the same for all runs of a size."""

    num_params: int
    num_params_total: int
    train_flops_per_token: float
    memory_bytes: int


def _one_a_size(runs: Sequence[RunSpec]) -> Iterable[RunSpec]:
    return {run.model.name: run for run in runs}.values()


def _costs_of_size(run: RunSpec, vocab_size: int) -> _Costs:
    return _Costs(
        num_params=run.model.num_params,
        num_params_total=run.model.num_params_total(vocab_size),
        train_flops_per_token=run.model.train_flops_per_token(vocab_size, run.training.context_length),
        memory_bytes=run.memory_bytes(vocab_size, run.num_processes, run.data_parallel),
    )


def _cell(run: RunSpec, axes: Sequence[Axis], costs: dict[str, _Costs], total_tokens: int | None) -> PlannedCell:
    """`axes`: those of this sweep that have no field of their own in a cell."""
    of_size = costs[run.model.name]
    return PlannedCell(
        run_id=run.run_id,
        model=run.model.name,
        num_params=of_size.num_params,
        num_params_total=of_size.num_params_total,
        num_tokens=run.num_tokens,
        frequency=run.frequency,
        num_templates=run.num_templates,
        seed=run.seed,
        total_tokens=total_tokens,
        train_flops=of_size.train_flops_per_token * (total_tokens or run.num_tokens),
        memory_bytes=of_size.memory_bytes,
        num_processes=run.num_processes,
        other_axes={axis.field: getattr(run, axis.spec_field) for axis in axes},
    )


def _check_lengths(lengths_FT: np.ndarray, row_length: int, fact_set: str, where: str) -> None:
    if lengths_FT.size and int(lengths_FT.max()) > row_length:
        raise SpecError(
            f"an exposure of {int(lengths_FT.max())} tokens ({fact_set}) is longer than a row.",
            where=where,
            key="training.context_length",
            value=row_length,
            mend="Use a longer context, or shorter templates.",
        )
