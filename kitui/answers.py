"""What came of a command to the supervisor, for a person: in the terminal and in the app."""

from __future__ import annotations

from typing import Any

from kitui.format import counted


def answer_words(command: str, answer: dict[str, Any]) -> str:
    """What came of a command, for a person."""
    done = {"cancel": "cancelled", "retry": "queued again", "pause": "paused", "resume": "queued again"}
    if command in done:
        return f"{counted(answer['runs'], 'run')} {done[command]}"
    if command == "delete":
        return f"deleted, with {counted(answer['runs'], 'run')} that no other sweep wants"
    if command == "archive":
        return "archived" if answer["archived"] else "back in the list"
    return "done"
