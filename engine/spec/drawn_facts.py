"""The facts or texts that a sweep draws, with the ways to write them and the questions about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from engine.errors import DataError, SpecError, together
from engine.spec import fact_sets
from engine.spec.chains import chains, partition_of_chains
from engine.spec.evaluation import EvaluationSettings
from engine.spec.fact_files import read_facts
from engine.spec.fact_settings import FactsSettings
from engine.spec.facts import Fact
from engine.spec.files import files_of
from engine.spec.neighbours import partition_of_neighbours
from engine.spec.own_questions import read_own_questions
from engine.spec.partition import Partition, of_frequent_objects, of_relations, partition
from engine.spec.questions import KINDS
from engine.spec.runspec import FactSets
from engine.spec.sweep import Sweep
from engine.spec.templates import RelationTemplates, read_templates
from engine.spec.text_files import as_facts, read_texts


def read_fact_sets(path: Path, sweep: Sweep) -> tuple[FactSets, list[str]]:
    """The facts or texts of a sweep file, partitioned, with their templates; and what was left out, in words."""
    sets, notes, where = _drawn_texts(path, sweep) if sweep.facts is None else _drawn_facts(path, sweep, sweep.facts)
    if sweep.mixture.prior_rate > 0 and not sets.prior:
        raise SpecError(
            "there are no prior facts or texts to write.",
            where=str(path),
            key="mixture.prior_rate",
            value=sweep.mixture.prior_rate,
            mend="Set num_prior above 0, or prior_rate to 0.",
        )
    if sweep.evaluation.questions is not None:
        sets, passed_over = with_own_questions(sets, path.parent, sweep.evaluation)
        notes += passed_over
    return sets, notes + check_questions(sets, sweep.evaluation, where)


def with_own_questions(facts: FactSets, base: Path, evaluation: EvaluationSettings) -> tuple[FactSets, list[str]]:
    """The same facts with the questions of the table that the settings name, relative to `base`; and how many are about
    none of them, in words."""
    own = read_own_questions(base / str(evaluation.questions), evaluation.question_columns)
    known = {fact.subject for fact in facts.drawn}
    about_them = tuple(one for one in own if one.id in known)
    if not about_them:
        raise DataError(
            f"none of its {len(own)} questions is about a fact or text that is drawn.",
            where=str(base / str(evaluation.questions)),
            key="evaluation.questions",
            mend="evaluation.question_columns.id says where the subject, or the text's id, stands.",
        )
    others = len(own) - len(about_them)
    notes = [f"{others} questions are about nothing that is drawn"] if others else []
    return facts.model_copy(update={"own_questions": about_them}), notes


def _drawn_texts(path: Path, sweep: Sweep) -> tuple[FactSets, list[str], str]:
    settings = sweep.texts
    assert settings is not None
    paths = files_of(path, settings.paths, "texts.path")
    where = ", ".join(map(str, paths))
    texts = read_texts(paths, settings)
    drawn = partition(
        as_facts([*texts]),
        num_prior=settings.num_prior,
        num_infused=settings.num_infused,
        num_unseen=settings.num_unseen,
        facts_seed=settings.facts_seed,
        where=where,
        section="texts",
    )
    used = {fact.subject: texts[fact.subject] for facts_of in drawn for fact in facts_of}
    sets = FactSets(
        prior=drawn.prior, infused=drawn.infused, unseen=drawn.unseen, statements={}, questions={},
        facts_seed=settings.facts_seed, texts=used,
    )  # fmt: skip
    return sets, [], where


def _drawn_facts(path: Path, sweep: Sweep, settings: FactsSettings) -> tuple[FactSets, list[str], str]:
    paths = files_of(path, settings.paths, "facts.path")
    where = ", ".join(map(str, paths))
    labels_path = path.parent / settings.labels.path if settings.labels else None
    table = read_facts(paths, settings, labels_path=labels_path)
    templates_path = path.parent / settings.templates
    templates = read_templates(templates_path, settings.template_columns, settings.template_marks)
    usable = of_relations(table.facts, settings.relations, where)
    usable = of_frequent_objects(usable, settings.objects_per_relation)
    _check_relations({fact.relation: fact for fact in reversed(usable)}, templates, templates_path)
    draw: Callable[..., Partition] = partition
    if sweep.evaluation.kind == "two_hop":
        described = {relation for relation, of_relation in templates.items() if of_relation.description}
        draw = partial(partition_of_chains, chains(usable, table.objects, described))
    elif sweep.evaluation.kind == "neighbour":
        draw = partial(partition_of_neighbours, sweep.evaluation.neighbour_by)
    drawn = draw(
        usable,
        num_prior=settings.num_prior,
        num_infused=settings.num_infused,
        num_unseen=settings.num_unseen,
        facts_seed=settings.facts_seed,
        facts_per_block=KINDS[sweep.evaluation.kind].facts_per_block(sweep.evaluation),
        where=where,
    )
    facts = [fact for facts_of in drawn for fact in facts_of]
    used = {relation: templates[relation] for relation in sorted({fact.relation for fact in facts})}
    _check_template_counts(path, templates_path, sweep, drawn, used)
    sets = FactSets(
        prior=drawn.prior,
        infused=drawn.infused,
        unseen=drawn.unseen,
        statements={r: t.statements for r, t in used.items()},
        questions={r: t.questions for r, t in used.items()},
        reverse={r: t.reverse for r, t in used.items() if t.reverse},
        descriptions={r: t.description for r, t in used.items() if t.description},
        facts_seed=settings.facts_seed,
        objects=_objects_of(facts, table.objects),
        aliases={name: table.aliases[name] for name in sorted({f.object for f in facts} & {*table.aliases})},
    )
    return sets, table.notes, where


def _check_relations(
    relations: Mapping[str, Fact], templates: Mapping[str, RelationTemplates], templates_path: Path
) -> None:
    """DataError naming every relation without a template, with a fact of it."""
    missing = [
        DataError(
            f"no template for the relation {relation!r} (fact: {' · '.join(fact)}).",
            where=str(templates_path),
            key=relation,
            mend=f"Add a table [{relation}], or leave the relation out with facts.relations.",
        )
        for relation, fact in sorted(relations.items())
        if relation not in templates
    ]
    if missing:
        raise together(missing)


def _objects_of(
    facts: Sequence[Fact], objects: Mapping[str, Mapping[str, tuple[str, ...]]]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Of subjects that are drawn, all objects, where there are several."""
    found: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for subject, relation, _ in sorted(facts):
        if subject in objects.get(relation, {}):
            found[relation][subject] = objects[relation][subject]
    return dict(found)


def check_questions(facts: FactSets, evaluation: EvaluationSettings, where: str) -> list[str]:
    """What is left unasked, in words. DataError where a whole set cannot be asked about; SpecError for a template that
    is not there."""
    kind = KINDS[evaluation.kind]
    notes = []
    fewest = min(facts.questions, key=lambda relation: len(facts.questions[relation]), default=None)
    if fewest is not None and evaluation.question_template >= len(facts.questions[fewest]):
        raise SpecError(
            f"there are only {len(facts.questions[fewest])} for the relation {fewest}.",
            where=where,
            key="evaluation.question_template",
            value=evaluation.question_template,
            mend="Ask for a lower one, or add templates.",
        )
    for name in fact_sets.DRAWN:
        size, blocks = len(getattr(facts, name)), facts.blocks(name, evaluation)
        num_asked = len({fact for block in blocks for fact in block.facts})
        requirement = kind.requirement(evaluation)
        if size and not num_asked and name not in kind.may_be_unasked:
            raise DataError(
                f"no {name} fact can be asked about: {requirement}.",
                where=where,
                key=f"evaluation.{kind.limited_by}",
                value=getattr(evaluation, kind.limited_by),
                mend=kind.mend,
            )
        if num_asked and kind.num_choices(blocks) <= 1:
            raise DataError(
                f"all {name} questions of a relation have one answer: whoever does not look at the subject is right.",
                where=where,
                key="evaluation.kind",
                value=evaluation.kind,
                mend=kind.mend,
            )
        if num_asked < size:
            notes.append(f"{size - num_asked} of {size} {name} facts are not asked about: {requirement}")
    return notes


def _check_template_counts(
    path: Path, templates_path: Path, sweep: Sweep, drawn: Partition, used: dict[str, RelationTemplates]
) -> None:
    prior_relations = {fact.relation for fact in drawn.prior}
    infused_relations = {fact.relation for fact in drawn.infused}
    faults = []
    for relation, templates in used.items():
        needs = [("evaluation.question_template", sweep.evaluation.question_template + 1, templates.questions)]
        if relation in infused_relations:
            needs.append(("grid.num_templates", max(sweep.grid.num_templates), templates.statements))
        if relation in prior_relations:
            needs.append(("mixture.num_prior_templates", sweep.mixture.num_prior_templates, templates.statements))
        for key, wanted, have in needs:
            if wanted > len(have):
                faults.append(
                    SpecError(
                        f"{templates_path.name} has only {len(have)} for the relation {relation}.",
                        where=str(path),
                        key=key,
                        value=wanted if key != "evaluation.question_template" else wanted - 1,
                        mend=f"Ask for fewer, or add templates to {templates_path}.",
                    )
                )
    if faults:
        raise together(faults)
