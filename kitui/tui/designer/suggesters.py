"""What a line may go on with: words from a list, or file names. Taken with the right arrow key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from textual.suggester import Suggester


class WordSuggester(Suggester):
    """Completes the last of the words that commas part."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._words = words

    async def get_suggestion(self, value: str) -> str | None:
        part = value.rpartition(",")[2].lstrip()
        if not part:
            return None
        found = next((word for word in self._words if word.startswith(part) and word != part), None)
        return None if found is None else value + found[len(part) :]


class PathSuggester(Suggester):
    """Completes file names, relative to the folder that `base` gives."""

    def __init__(self, base: Callable[[], Path]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._base = base

    async def get_suggestion(self, value: str) -> str | None:
        typed = Path(value)
        folder = (self._base() / typed).parent
        if value.endswith("/"):
            folder = folder / typed.name
        part = "" if value.endswith("/") else typed.name
        try:
            names = sorted(p.name + ("/" if p.is_dir() else "") for p in folder.iterdir())
        except OSError:
            return None
        found = next((n for n in names if n.startswith(part) and n != part), None) if part or value else None
        return None if found is None else value[: len(value) - len(part)] + found
