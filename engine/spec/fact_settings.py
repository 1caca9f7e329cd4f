"""What a sweep file says of its facts: where they stand, how their files are to be read, and how many of each set."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from engine.spec.section import Count, PositiveCount, Section, Seed, Text


def _column(value: Any) -> Any:
    """A column's place, counted from 1, as its name in a table without a header."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Column = Annotated[Text, BeforeValidator(_column)]
"""A column's name; its place, where the table has no header; or, in JSON, a path of keys: `object.label`."""


class FactColumns(Section):
    """Where the parts of a fact stand in its row."""

    subject: Column = "subject"
    relation: Column = "relation"
    object: Column = "object"
    aliases: Column | None = None
    """Other names of the object, a list."""

    @property
    def have_no_header(self) -> bool:
        """Whether they are places and no names."""
        return all(name.isdigit() for name in (self.subject, self.object))


class TemplateColumns(Section):
    """Where templates stand, if they come from a table. `template` serves as statement and, as far as it can, as
    question."""

    relation: Column = "relation"
    template: Column | None = "template"
    statement: Column | None = None
    question: Column | None = None


class TemplateMarks(Section):
    """How templates mark the places of subject and object. With an empty mark, the object stands at the end."""

    subject: str = "{subject}"
    object: str = "{object}"

    @model_validator(mode="after")
    def _differ(self) -> TemplateMarks:
        if not self.subject or self.subject == self.object:
            raise ValueError('subject and object need marks that differ, such as { subject = "[X]", object = "[Y]" }')
        return self


class Labels(Section):
    """A second table that says how things are called whose ids stand in the facts."""

    path: Text
    id: Column = "id"
    label: Column = "label"
    aliases: Column | None = None

    @property
    def have_no_header(self) -> bool:
        return self.id.isdigit() and self.label.isdigit()


class FactReading(Section):
    """How files of facts are read."""

    columns: FactColumns = FactColumns()
    relation: Text | None = None
    """The relation of all facts, where no column says it; `{file}` stands for the name of the file they are in."""
    labels: Labels | None = None
    duplicates: Literal["refuse", "merge"] = "refuse"
    several_objects: Literal["all", "first", "leave_out"] = "all"
    """What to do where a subject has several objects in one relation: each of them is a fact; the first is; or none.
    No question offers another right object as a wrong answer."""
    leaks: Literal["words", "letters", "keep"] = "words"
    """Which facts are left out because a name gives the answer away: subject or object holds the other as whole words;
    the subject holds the object anywhere in it; none."""


class FactsSettings(FactReading):
    """Which facts, and how many of each set."""

    path: Text | tuple[Text, ...]
    """Files, or patterns."""
    templates: Text
    """TOML, a table a relation; or a table of templates."""
    template_columns: TemplateColumns = TemplateColumns()
    template_marks: TemplateMarks = TemplateMarks()
    num_prior: Count
    num_infused: PositiveCount
    num_unseen: Count
    relations: tuple[str, ...] | None = None
    objects_per_relation: PositiveCount | None = None
    """Keep only a relation's most frequent objects."""
    facts_seed: Seed = 0

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path


class TextsSettings(Section):
    """Which texts are infused instead of facts, and how many of each set. Questions of one's own ask about them."""

    path: Text | tuple[Text, ...]
    """Tables, or patterns."""
    id: Column = "id"
    text: Column = "text"
    num_prior: Count
    num_infused: PositiveCount
    num_unseen: Count
    facts_seed: Seed = 0

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path
