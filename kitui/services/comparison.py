"""`kitui compare`: what differs between two sweeps, in their settings, their curves and their collapse points."""

from __future__ import annotations

import math
import tomllib
from typing import Any

from rich.table import Table

from engine.records.results import SCHEMA_VERSION
from engine.records.workspace import Workspace
from engine.spec.numbers import format_count
from kitui.services.format import interval, number, retention
from kitui.services.sweeps import analysis, known_sweep
from kitui.services.text import printable

_MATCHED = ("num_params", "num_tokens", "templates")


def compare_document(workspace: Workspace, first: str, second: str) -> dict[str, Any]:
    """The document of `kitui compare --json`. Conditions are matched by size, budget and templates."""
    names = [known_sweep(workspace, sweep)[0] for sweep in (first, second)]
    analyses = [analysis(workspace, name) for name in names]
    return {
        "schema_version": SCHEMA_VERSION,
        "sweeps": names,
        "simulated": [a["simulated"] for a in analyses],
        "settings": _settings(workspace, names),
        "curves": _curves(analyses),
        "collapse_points": _points(analyses),
    }


def _settings(workspace: Workspace, names: list[str]) -> list[dict[str, Any]]:
    tables = [_flat(workspace, name) for name in names]
    keys = sorted(tables[0].keys() | tables[1].keys())
    return [
        {"key": key, "values": [t.get(key) for t in tables]} for key in keys if tables[0].get(key) != tables[1].get(key)
    ]


def _flat(workspace: Workspace, name: str) -> dict[str, Any]:
    """The sweep file as dotted keys; none for a sweep that was imported or simulated."""
    path = workspace.sweep(name).sweep_toml
    if not path.exists():
        return {}
    flat: dict[str, Any] = {}

    def walk(table: dict[str, Any], prefix: str) -> None:
        for key, value in table.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk(tomllib.loads(path.read_text(encoding="utf-8-sig")), "")
    flat.pop("name", None)
    return flat


def _curves(analyses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where both have runs: the means, their difference, and its 95 % interval by the seeds' spread (Welch's standard
    error, normal quantile); none with fewer than two seeds on either side."""
    by_place: list[dict[tuple[Any, ...], dict[str, Any]]] = []
    for document in analyses:
        places = {}
        for curve in document["curves"]:
            for point in curve["points"]:
                if point["mean"] is not None:
                    key = (curve["fact_set"], *(curve["condition"][c] for c in _MATCHED), point["frequency"])
                    places[key] = point
        by_place.append(places)
    rows = []
    for key in by_place[0]:
        if key in by_place[1]:
            a, b = by_place[0][key], by_place[1][key]
            difference = b["mean"] - a["mean"]
            error = None
            if a["sd"] is not None and b["sd"] is not None:
                error = math.sqrt(a["sd"] ** 2 / a["n"] + b["sd"] ** 2 / b["n"])
            rows.append(
                dict(zip(("fact_set", *_MATCHED, "frequency"), key, strict=True))
                | {
                    "means": [a["mean"], b["mean"]],
                    "n": [a["n"], b["n"]],
                    "difference": difference,
                    "interval": None if error is None else [difference - 1.96 * error, difference + 1.96 * error],
                }
            )
    return rows


def _points(analyses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sides = [{tuple(p["condition"][c] for c in _MATCHED): p for p in a["law"]["collapse_points"]} for a in analyses]
    rows = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        points = [side.get(key) for side in sides]
        rows.append(
            dict(zip(_MATCHED, key, strict=True))
            | {
                "status": [p["status"] if p else None for p in points],
                "frequency": [p["frequency"] if p else None for p in points],
                "interval": [p["interval"] if p else None for p in points],
            }
        )
    return rows


def comparison_tables(document: dict[str, Any]) -> list[Any]:
    """The comparison as tables and lines, for the terminal and the app."""
    names = [
        printable(n) + (" (simulated)" if s else "")
        for n, s in zip(document["sweeps"], document["simulated"], strict=True)
    ]
    parts: list[Any] = []
    settings = _table("Settings that differ", ["key", *names])
    for row in document["settings"]:
        settings.add_row(row["key"], *(_setting(value) for value in row["values"]))
    parts.append(settings if document["settings"] else "Settings: the same, or not known of an imported sweep.")
    points = _table("Collapse points F*", ["N", "D", "templ.", *names])
    for row in document["collapse_points"]:
        cells = [
            "–" if status is None else f"{number(frequency)} {interval(ends)} {status}"
            for status, frequency, ends in zip(row["status"], row["frequency"], row["interval"], strict=True)
        ]
        points.add_row(
            format_count(row["num_params"]), format_count(row["num_tokens"]), str(row["templates"] or "–"), *cells
        )
    parts.append(points)
    shown = [row for row in document["curves"] if row["fact_set"] == "overall"]
    curves = _table("Overall retention where both have runs", ["N", "D", "F", *names, "difference", "95 %"])
    for row in shown:
        curves.add_row(
            format_count(row["num_params"]),
            format_count(row["num_tokens"]),
            f"{row['frequency']:,}",
            *(retention(m) for m in row["means"]),
            f"{row['difference']:+.2f}",
            "–" if row["interval"] is None else f"[{row['interval'][0]:+.2f}, {row['interval'][1]:+.2f}]",
        )
    parts.append(curves if shown else "They have no size, budget, templates and frequency in common.")
    return parts


def _setting(value: Any) -> str:
    if value is None:
        return "–"
    return printable(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))


def _table(title: str, columns: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table
