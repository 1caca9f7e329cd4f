"""`kitui show`: what a sweep will write and ask, token by token, in lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from engine.errors import SpecError
from engine.records.record import decoded
from engine.records.shown import ShownDocument, ShownFact, ShownQuestion, ShownSet, ShownText
from engine.records.workspace import Workspace
from engine.spec.text_files import TEXT
from kitui.services.engine_commands import run_engine
from kitui.services.format import counted
from kitui.services.text import printable

_BETWEEN, _UNKNOWN = "|", "‹{}›"


def show_sweep(path: Path, workspace: Workspace, *, number: int = 2, containing: str = "") -> ShownDocument:
    """So many facts of each set of a sweep file, or those in which a text stands. Raises what is wrong with it."""
    if not path.exists():
        raise SpecError("there is no such sweep file.", value=str(path), mend="kitui init writes one.")
    arguments = [str(path), "--workspace", str(workspace.root), "--number", str(number), f"--containing={containing}"]
    return decoded(ShownDocument, run_engine(["engine.corpus.show", *arguments]))


def shown_lines(document: ShownDocument) -> list[Text]:
    """The document as lines; tokens are cut by `|`, and what the tokenizer does not know stands in ‹ ›."""
    return [Text(printable(line.plain), spans=line.spans) for line in _lines(document)]


def _lines(document: ShownDocument) -> Iterator[Text]:
    vocabulary = f", {document.vocab_size:,} tokens" if document.vocab_size else ""
    unknown = "" if document.unknown_in_facts is None else f"; unknown in the facts: {document.unknown_in_facts:.2%}"
    if document.unknown_in_background is not None:
        unknown += f", in the background: {document.unknown_in_background:.2%}"
    yield Text(f"tokenizer {document.tokenizer}{vocabulary}{unknown}")
    for one in document.sets:
        if one.num_facts:
            yield Text()
            yield from _set_lines(one, document)
    if document.notes:
        yield Text()
    for note in document.notes:
        yield Text(f"note: {note}")


def _set_lines(one: ShownSet, document: ShownDocument) -> Iterator[Text]:
    held = f"{counted(one.num_relations, 'relation')}, {counted(one.num_objects, 'object')}"
    yield Text(f"{one.name}: {counted(one.num_facts, 'fact')}, {held}; {one.num_asked:,} asked", style="bold")
    times = dict.fromkeys(f"{exposures:g}" for exposures in one.exposures)
    yield Text(f"  written {', '.join(times)} times" + (" at F = 0" if one.name == "prior" and len(times) == 1 else ""))
    for fact in one.facts:
        yield from _fact_lines(fact)


def _fact_lines(fact: ShownFact) -> Iterator[Text]:
    name = fact.subject if fact.relation == TEXT else f"{fact.subject} · {fact.relation} · {fact.object}"
    yield Text(f"  {name}", style="cyan")
    if fact.also_right:
        yield Text(f"    right too  {', '.join(fact.also_right)}")
    if fact.aliases:
        yield Text(f"    called too {', '.join(fact.aliases)}")
    for text in fact.written:
        yield Text("    written    ").append_text(_cut(text)).append(_number_of_tokens(text), style="dim")
    for question in fact.asked:
        yield from _question_lines(question)
    if not fact.asked:
        yield Text("    not asked")


def _question_lines(question: ShownQuestion) -> Iterator[Text]:
    yield Text(f"    {question.kind:<10} ").append_text(_cut(question.context))
    for place, choice in enumerate(question.choices):
        is_right = place == question.right
        line = Text(f"             {'✓' if is_right else ' '} ", style="green" if is_right else "")
        yield line.append_text(_cut(choice)).append(_number_of_tokens(choice), style="dim")


def _cut(text: ShownText) -> Text:
    if not text.pieces:
        return Text(text.text)
    line = Text()
    for place, piece in enumerate(text.pieces):
        if place:
            line.append(_BETWEEN, style="dim")
        is_unknown = place in text.unknown
        line.append(_UNKNOWN.format(piece) if is_unknown else piece, style="red" if is_unknown else "")
    return line


def _number_of_tokens(text: ShownText) -> str:
    return f"   {counted(len(text.pieces), 'token')}" if text.pieces else ""
