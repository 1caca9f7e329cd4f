"""What came of a command to the supervisor, for a person: in the terminal and in the app."""

from __future__ import annotations

from typing import Any

from kitui.services.format import counted


def answer_words(command: str, answer: dict[str, Any]) -> str:
    """What came of a command, for a person."""
    done = {"cancel": "cancelled", "retry": "queued again", "pause": "paused", "resume": "queued again"}
    if command in done:
        return f"{counted(answer['runs'], 'run')} {done[command]}"
    if command == "delete":
        return f"deleted, with {counted(answer['runs'], 'run')} that no other sweep wants"
    if command == "archive":
        return "archived" if answer["archived"] else "back in the list"
    if command == "move":
        return f"{counted(answer['runs'], 'run')} to start there"
    if command == "drain":
        return f"nothing more is started there; {counted(answer['runs'], 'run')} still there"
    if command == "reopen":
        return f"runs may start again on {', '.join(answer['hosts'])}"
    if command == "prioritise":
        return f"priority {answer['priority']}"
    if command == "cap":
        caps = {host: "none" if hours is None else f"{hours:g} GPU-hours" for host, hours in answer["caps"].items()}
        return "cap on " + ", ".join(f"{host}: {words}" for host, words in caps.items())
    return "done"
