"""The report as one JSON document, for programs: every figure at full precision with the keys of the runs behind it."""

import json
from dataclasses import asdict
from typing import Any

from clasp_bench import __version__
from clasp_bench.report.content import Report
from clasp_bench.report.notes import notes
from clasp_bench.report.tables import WorldTable

FORMAT = "clasp-bench-report/1"


def as_json(report: Report) -> str:
    """Worlds with their columns, methods, cells and comparisons, and the cited figures of the same tasks.

    A cell's and a difference's ``column`` is a place in the world's ``columns``; ``runs`` are keys of records.
    """
    document = {
        "format": FORMAT,
        "made_by": f"clasp-bench {__version__}",
        "worlds": [_world(table, report) for table in report.tables],
        "published": [task.model_dump(mode="json", exclude_none=True) for task in report.cited],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _world(table: WorldTable, report: Report) -> dict[str, Any]:
    place = {column: number for number, column in enumerate(table.columns)}
    ranking, keys = table.ranking, {id(run): run.key for run in table.records}
    return {
        "world": table.world,
        "columns": [asdict(column) | {"heading": table.heading(column)} for column in table.columns],
        "methods": [
            {"method": name, "labels": table.labels[name], **asdict(table.overall[name])} for name in table.methods
        ],
        "ranking": ranking
        and {"tasks": ranking.tasks, "friedman_p": ranking.p, "critical_difference": ranking.critical_difference},
        "failures": [failure.model_dump(mode="json", exclude={"world"}) for failure in table.failures],
        "cells": [
            {
                "method": method,
                "column": place[column],
                "mean": cell.mean,
                "std": cell.std,
                "interval": cell.interval,
                "mark": cell.mark,
                "runs": [keys[id(run)] for run in cell.runs],
            }
            for (method, column), cell in table.cells.items()
        ],
        "comparisons": [
            {
                "reference": comparison.reference,
                "method": comparison.method,
                "p": comparison.p,
                "tasks": comparison.tasks,
                "effect": comparison.effect,
                "differences": [
                    {"column": place[column], **asdict(difference)}
                    for column, difference in comparison.differences.items()
                ],
            }
            for comparison in report.comparisons[table.world]
        ],
        "notes": notes(table),
    }
