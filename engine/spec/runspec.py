"""One run, fully described: what `runs/<run_id>/spec.json` holds, and what makes two runs the same run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from engine.errors import DamageError
from engine.spec import fact_sets
from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.models import ModelShape
from engine.spec.own_questions import OwnQuestion
from engine.spec.questions import KINDS
from engine.spec.questions.base import Asking, Block
from engine.spec.section import Section
from engine.spec.sweep import (
    BackgroundSettings,
    MixtureSettings,
    StagesSettings,
    TokenizerSettings,
    TrainingSettings,
)
from engine.spec.templates import SUBJECT, within

# Raise by hand whenever the same settings would train a different model or write a different stream: it is part of
# every run's identity. tests/engine/training/test_golden.py fails when numbers move without it.
TRAINING_SEMANTICS = 1


def content_id(content: Any) -> str:
    """A short name for any JSON content: the SHA-256 of its canonical form, 12 hexadecimal digits."""
    return hashlib.sha256(orjson.dumps(content, default=list, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


_LATER = ("objects", "aliases", "reverse", "texts", "own_questions", "descriptions")


class FactSets(Section):
    """`facts/<facts_id>.json`: the partition, and the templates of the relations in it. The same for a whole sweep."""

    prior: tuple[Fact, ...]
    infused: tuple[Fact, ...]
    unseen: tuple[Fact, ...]
    statements: dict[str, tuple[str, ...]]
    questions: dict[str, tuple[str, ...]]
    facts_seed: int
    objects: dict[str, dict[str, tuple[str, ...]]] = {}
    """By relation and subject, all objects, where there are several."""
    aliases: dict[str, tuple[str, ...]] = {}
    """By object, its other names."""
    reverse: dict[str, tuple[str, ...]] = {}
    """By relation, the templates that ask for the subject."""
    texts: dict[str, str] = {}
    """By id, texts that are written as they are: each of them is a fact of the relation `text`."""
    descriptions: dict[str, str] = {}
    """By relation, what stands for the object of a fact whose subject is known."""
    own_questions: tuple[OwnQuestion, ...] = ()
    """Questions of one's own about facts, by their subject, or texts, by their id."""

    @property
    def facts_id(self) -> str:
        return content_id(self.content())

    def content(self, *without: str) -> dict[str, Any]:
        """All of it, as JSON, for identities. What came later counts only where there is any, so that earlier facts
        keep their names."""
        content = self.model_dump(mode="json", exclude={*without})
        return {name: value for name, value in content.items() if value or name not in _LATER}

    @property
    def entities(self) -> tuple[str, ...]:
        """Every name that occurs, each once, sorted."""
        return tuple(sorted({f.subject for f in self.drawn} | {f.object for f in self.drawn}))

    @property
    def description_texts(self) -> set[str]:
        """The words of descriptions as they stand in questions: within a sentence, and at its beginning."""
        texts = {text for given in self.descriptions.values() for text in (given, within(SUBJECT, given))}
        return {text.replace(SUBJECT, "") for text in texts}

    @property
    def drawn(self) -> tuple[Fact, ...]:
        """All facts of the partition."""
        return (*self.prior, *self.infused, *self.unseen)

    def blocks(self, fact_set: str, evaluation: EvaluationSettings) -> list[Block]:
        """The questions about a set of facts. `verbatim` asks the infused ones in the first statement that they are
        trained on, as far as it can be cut before its answer."""
        kind, is_verbatim = KINDS[evaluation.kind], fact_set == "verbatim"
        templates = self.asked_in(evaluation)
        if is_verbatim:
            first = {relation: texts[:1] for relation, texts in self.statements.items()}
            templates = {relation: texts for relation, texts in first.items() if kind.can_ask(texts[0])}
        own: dict[str, list[OwnQuestion]] = {}
        for question in () if is_verbatim else self.own_questions:
            own.setdefault(question.id, []).append(question)
        asking = Asking(
            self.drawn, self.objects, self.aliases, templates, self.facts_seed, own,
            descriptions=self.descriptions, fact_set=fact_set, infused=self.infused, prior=self.prior,
        )  # fmt: skip
        return kind.blocks(self.infused if is_verbatim else getattr(self, fact_set), asking, evaluation)

    def asked_in(self, evaluation: EvaluationSettings) -> dict[str, tuple[str, ...]]:
        """By relation, the templates that questions are asked in."""
        kind = KINDS[evaluation.kind]
        found = {}
        for relation, questions in self.questions.items():
            among = questions
            if evaluation.kind == "reverse":
                among = (*self.reverse.get(relation, ()), *self.statements[relation], *questions)
            found[relation] = kind.templates(among, evaluation)
        return found


class CorpusSpec(Section):
    """What the token files are made of; `tokens/<tokens_id>` is named after it."""

    background: BackgroundSettings
    background_hashes: dict[str, str]
    """SHA-256 by file (or of the built-in text); for a hub dataset its name and revision say it instead."""
    tokenizer: TokenizerSettings
    tokenizer_hash: str | None
    """SHA-256 of a local tokenizer's files."""
    entities: tuple[str, ...]
    """For `word`: names that are one token each, and below the words of the templates."""
    template_texts: tuple[str, ...]
    cut: int = 1
    """How words are cut. 1 is the first kitui's way, which did not know combining marks, obeyed stored padding and took
    special tokens in a text for more than text: it serves where none of that matters, and its token files keep their
    names."""

    @property
    def tokens_id(self) -> str:
        content = self.model_dump(mode="json")
        # Where a file lies changes nothing; what it holds is in its hash, and the order of files in their numbering.
        content["background"].pop("path")
        content["background_hashes"] = list(self.background_hashes.values())
        if self.tokenizer_hash:
            content["tokenizer"].pop("name")
        if content.pop("cut") > 1:  # earlier token files keep their names
            content["cut"] = self.cut
        return content_id(content)


class RunSpec(Section):
    """Everything that one training run needs beside its token files and fact sets."""

    run_id: str
    model: ModelShape
    frequency: int
    num_tokens: int
    num_templates: int
    seed: int
    learning_rate: float
    mixture: MixtureSettings
    stages: StagesSettings | None
    training: TrainingSettings
    init_from: str | None
    init_hash: str | None
    evaluation: EvaluationSettings
    evaluation_id: str
    facts_id: str
    tokens_id: str
    keep_weights: str
    checkpoint_every_s: float
    micro_batch_size: int | None
    num_processes: int = 1
    data_parallel: str = "ddp"
    only_score: bool = False
    """It is trained already: where its weights are not there, it is not trained again."""

    def memory_bytes(self, vocab_size: int, num_processes: int, data_parallel: str) -> int:
        """A forecast of each process's memory, were the run trained by so many in this way."""
        share = -(-self.training.batch_size // num_processes)
        return self.model.train_memory_bytes(
            vocab_size,
            self.training.context_length,
            min(share, self.micro_batch_size or share),
            precision=self.training.precision,
            divided_by=num_processes if data_parallel == "fsdp" else 1,
        )


def written_facts_id(facts: FactSets, *, num_statements: int, question_template: int | None) -> str:
    """A name for all fact text that a run may write: the facts of the partition and the templates used for them."""
    content: dict[str, Any] = {
        "prior": facts.prior,
        "infused": facts.infused,
        "statements": {relation: texts[:num_statements] for relation, texts in facts.statements.items()},
    }
    if facts.texts:
        content["texts"] = {fact.subject: facts.texts[fact.subject] for fact in (*facts.prior, *facts.infused)}
    if question_template is not None:
        content["questions"] = {relation: texts[question_template] for relation, texts in facts.questions.items()}
    return content_id(content)


class RunNames:
    """Names the runs of one set of facts. Runs of a sweep share their settings: those are put into words once."""

    def __init__(self, facts: FactSets) -> None:
        self._facts = facts
        self._written: dict[tuple[int, int | None], str] = {}
        self._plain: dict[int, tuple[BaseModel, Any]] = {}

    def of(self, spec: RunSpec) -> str:
        """The run's id, by everything that changes its training."""
        return f"{spec.model.name.lower()}-f{spec.frequency}-s{spec.seed}-{content_id(self._identity(spec))}"

    def _identity(self, spec: RunSpec) -> dict[str, Any]:
        """What changes the training of `spec`, and nothing else."""
        return {
            "semantics": TRAINING_SEMANTICS,
            "model": self._settings(spec.model),
            "frequency": spec.frequency,
            "num_tokens": spec.num_tokens,
            "num_templates": spec.num_templates,
            "seed": spec.seed,
            "learning_rate": spec.learning_rate,
            "mixture": self._settings(spec.mixture),
            "stages": self._settings(spec.stages) if spec.stages else None,
            "training": self._settings(spec.training, "learning_rate", "init_from"),
            "init": spec.init_hash or spec.init_from,
            "tokens": spec.tokens_id,
            "facts": self._facts_written(spec),
        }

    def _facts_written(self, spec: RunSpec) -> str:
        num_statements = max(spec.num_templates, spec.mixture.num_prior_templates)
        asked = spec.evaluation.question_template if spec.mixture.questions_in_background else None
        if (num_statements, asked) not in self._written:
            self._written[num_statements, asked] = written_facts_id(
                self._facts, num_statements=num_statements, question_template=asked
            )
        return self._written[num_statements, asked]

    def _settings(self, section: BaseModel, *without: str) -> Any:
        if id(section) not in self._plain:  # kept beside its words, so that no other section gets its id
            if isinstance(section, ModelShape):
                plain = section.identity()
            else:
                plain = section.model_dump(mode="json", exclude={*without})
            self._plain[id(section)] = section, plain
        return self._plain[id(section)][1]


def run_name(spec: RunSpec, facts: FactSets) -> str:
    """The run's id, by everything that changes its training."""
    return RunNames(facts).of(spec)


def check_identity(spec: RunSpec, facts: FactSets, folder: Path) -> None:
    """DamageError where spec or facts are not those that the run in `folder` and its questions are named after."""
    for name, wanted, found in (
        ("facts_id", spec.facts_id, facts.facts_id),
        ("evaluation_id", spec.evaluation_id, content_id(evaluation_identity(spec.evaluation, facts))),
        ("run_id", folder.name, spec.run_id),
        ("run_id", spec.run_id, run_name(spec, facts)),
    ):
        if wanted != found:
            raise DamageError(
                f"its settings or facts were changed after it was launched, or another version of kitui wrote them: "
                f"they give {found}.",
                where=str(folder),
                key=name,
                value=wanted,
                mend="Launch its sweep again.",
            )


_FIRST_ASKED = ("infused", "prior", "unseen", "verbatim")
"""The sets asked in results whose identity does not name them."""


def evaluation_identity(evaluation: EvaluationSettings, facts: FactSets) -> dict[str, Any]:
    """What changes the questions asked. How often they are asked during training does not, nor a setting that the kind
    makes no use of: a new setting leaves the questions of older kinds, and the results they gave, what they were."""
    asked = {} if fact_sets.ASKED == _FIRST_ASKED else {"asked": fact_sets.ASKED}
    settings = evaluation.model_dump(mode="json", include={*KINDS[evaluation.kind].settings})
    questions: dict[str, Any] = dict(facts.asked_in(evaluation))
    if evaluation.kind == "choice":
        questions = {relation: texts[0] for relation, texts in questions.items()}
    else:
        settings["kind"] = evaluation.kind
    without = () if evaluation.kind == "two_hop" else ("descriptions",)
    return asked | {
        "settings": settings,
        "facts": facts.content("questions", "statements", "reverse", *without),
        "questions": questions,
    }
