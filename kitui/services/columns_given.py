"""What a user says that our columns are called in a table."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import SpecError


def column_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """`OURS=THEIRS`, taken apart. SpecError for one that is not of that kind."""
    found: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = (part.strip() for part in pair.partition("="))
        if not (ours and equals and theirs):
            raise SpecError(
                "expected our column, = and theirs.",
                key="--map",
                value=pair,
                mend="Such as num_params=config.num_params.",
            )
        if not pair.isprintable():
            raise SpecError("expected letters, digits and signs.", key="--map", value=repr(pair))
        if ours in found:
            raise SpecError("this column is mapped twice.", key="--map", value=pair)
        found[ours] = theirs
    return found


def question_columns(pairs: Sequence[str]) -> dict[str, str | list[str]]:
    """The same of a table of questions, whose choices may be several columns: `choices=a,b,c,d`."""
    found = column_mapping(pairs)
    return {
        ours: theirs.split(",") if ours == "choices" and "," in theirs else theirs for ours, theirs in found.items()
    }
