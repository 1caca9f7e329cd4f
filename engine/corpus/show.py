"""The showing command: some facts of a sweep as they will be written and asked, token by token.

python -m engine.corpus.show SWEEP.toml --workspace DIR --number 2 [--containing TEXT]     prints JSON; writes nothing
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from engine.corpus.ahead import look_ahead
from engine.corpus.mixture import planned_prior_exposures
from engine.corpus.plans import unknown_in_facts, unknown_words
from engine.corpus.tokenizer import Tokenizer
from engine.errors import KituiError, SpecError
from engine.records.record import encoded
from engine.records.shown import ShownDocument, ShownFact, ShownQuestion, ShownSet, ShownText
from engine.records.workspace import Workspace
from engine.spec import fact_sets
from engine.spec.facts import Fact, right_objects
from engine.spec.questions.base import Block
from engine.spec.resolve import ResolvedSweep, resolve
from engine.spec.templates import render


def shown(path: Path, workspace: Workspace, *, number: int, containing: str = "") -> ShownDocument:
    """So many facts of each set, of different relations as far as there are, or those in which a text stands. Raises
    what is wrong with the sweep."""
    resolved = resolve(path, many=True)
    at_hand = look_ahead(resolved, workspace)
    tokenizer = at_hand.tokenizer
    sets = tuple(_set(name, resolved, tokenizer, number, containing.casefold()) for name in fact_sets.DRAWN)
    if containing and not any(one.facts for one in sets):
        raise SpecError("no fact of the sweep holds this text.", key="--containing", value=containing)
    in_facts = unknown_in_facts(resolved.facts, tokenizer) if tokenizer else None
    settings = resolved.sweep.tokenizer
    return ShownDocument(
        sweep=resolved.sweep.name,
        tokenizer=settings.kind + (f" {settings.name}" if settings.name else ""),
        vocab_size=tokenizer.vocab_size if tokenizer else None,
        unknown_in_facts=in_facts,
        unknown_in_background=at_hand.unknown_in_text,
        frequencies=resolved.sweep.grid.infusion_frequency,
        sets=sets,
        notes=(*at_hand.notes, *unknown_words(in_facts, at_hand.unknown_in_text)),
    )


def _set(name: str, resolved: ResolvedSweep, tokenizer: Tokenizer | None, number: int, containing: str) -> ShownSet:
    sweep, facts = resolved.sweep, resolved.facts
    members: Sequence[Fact] = getattr(facts, name)
    wanted = [i for i, fact in enumerate(members) if _is_wanted(fact, containing)]
    chosen = _of_several_relations(members, wanted, number)
    asked: dict[int, list[ShownQuestion]] = {index: [] for index in chosen}
    indices: set[int] = set()
    for asked_as in (name, *(["verbatim"] if name == "infused" else [])):
        kind = sweep.evaluation.kind if asked_as == name else asked_as
        for block in facts.blocks(asked_as, sweep.evaluation):
            indices.update(block.facts)
            for index, context, right in zip(block.facts, block.contexts, block.right, strict=True):
                if index in asked:
                    asked[index].append(_question(kind, context, block, right, tokenizer))
    return ShownSet(
        name=name,
        num_facts=len(members),
        num_asked=len(indices),
        num_relations=len({fact.relation for fact in members}),
        num_objects=len({(fact.relation, fact.object) for fact in members}),
        exposures=_exposures(name, resolved),
        facts=tuple(_fact(members[index], name, resolved, tokenizer, asked[index]) for index in chosen),
    )


def _question(kind: str, context: str, block: Block, right: int, tokenizer: Tokenizer | None) -> ShownQuestion:
    return ShownQuestion(
        kind=kind,
        context=_text(context, tokenizer),
        choices=tuple(_answer(context, block.prefix + choice, tokenizer) for choice in block.choices),
        right=right,
    )


def _is_wanted(fact: Fact, containing: str) -> bool:
    return not containing or any(containing in part.casefold() for part in fact)


def _fact(
    fact: Fact, name: str, resolved: ResolvedSweep, tokenizer: Tokenizer | None, asked: list[ShownQuestion]
) -> ShownFact:
    sweep, facts = resolved.sweep, resolved.facts
    num_written = {"infused": max(sweep.grid.num_templates), "prior": sweep.mixture.num_prior_templates}.get(name, 0)
    texts = [render(template, fact) for template in facts.statements.get(fact.relation, ())[:num_written]]
    if facts.texts and num_written:
        texts = [facts.texts[fact.subject]]
    if name == "prior" and sweep.mixture.questions_in_background:
        texts.append(render(facts.questions[fact.relation][sweep.evaluation.question_template], fact))
    return ShownFact(
        subject=fact.subject,
        relation=fact.relation,
        object=fact.object,
        also_right=tuple(o for o in right_objects(facts.objects, fact) if o != fact.object),
        aliases=facts.aliases.get(fact.object, ()),
        written=tuple(_text(text, tokenizer) for text in texts),
        asked=tuple(asked),
    )


def _exposures(name: str, resolved: ResolvedSweep) -> tuple[float, ...]:
    """Planned, at the first token budget; prior facts lose some to infused ones where those displace."""
    sweep = resolved.sweep
    if name == "infused":
        return tuple(float(frequency) for frequency in sweep.grid.infusion_frequency)
    if name == "prior":
        planned = planned_prior_exposures(sweep.mixture.prior_rate, sweep.grid.num_tokens[0])
        return (float(planned),) * len(sweep.grid.infusion_frequency)
    return (0.0,) * len(sweep.grid.infusion_frequency)


def _of_several_relations(members: Sequence[Fact], chosen: Sequence[int], number: int) -> list[int]:
    first = {members[i].relation: i for i in reversed(chosen)}
    return list(dict.fromkeys([*reversed(list(first.values())), *chosen]))[:number]


def _text(text: str, tokenizer: Tokenizer | None) -> ShownText:
    if tokenizer is None:
        return ShownText(text=text, pieces=())
    ids, pieces = tokenizer.pieces(text)
    return _shown(text, ids, pieces, tokenizer)


def _answer(context: str, continuation: str, tokenizer: Tokenizer | None) -> ShownText:
    """A choice as it is scored: cut together with what stands before it."""
    if tokenizer is None:
        return ShownText(text=continuation, pieces=())
    if not continuation.startswith(" "):
        return _text(continuation, tokenizer)
    start = len(tokenizer.encode(context))
    ids, pieces = tokenizer.pieces(context + continuation)
    return _shown(continuation, ids[start:], pieces[start:], tokenizer)


def _shown(text: str, ids: Sequence[int], pieces: Sequence[str], tokenizer: Tokenizer) -> ShownText:
    unknown = tuple(i for i, token in enumerate(ids) if token == tokenizer.unknown_id)
    return ShownText(text=text, pieces=tuple(pieces), unknown=unknown)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.corpus.show")
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--number", type=int, default=2)
    parser.add_argument("--containing", default="")
    options = parser.parse_args(arguments)
    workspace = Workspace(options.workspace)
    try:
        document = shown(options.sweep, workspace, number=options.number, containing=options.containing)
    except KituiError as error:
        sys.stdout.buffer.write(orjson.dumps(error.to_json()) + b"\n")
        return error.exit_code
    sys.stdout.buffer.write(encoded(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
