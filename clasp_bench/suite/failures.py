"""Why runs are missing: ``failures.json`` in the results folder, which a suite keeps and a report reads."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clasp_bench.errors import RecordError
from clasp_bench.files import write_text

FAILURES_JSON = "failures.json"
SCHEMA_VERSION = 1


class Failure(BaseModel):
    """A run that a suite could not make.

    Args:
        world: as in the records of the other runs.
        step: the step that failed: the run's own, or one that it needs.
        reason: a sentence without its full stop.
        log: path of the step's log.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    method: str = Field(min_length=1)
    task: str = Field(min_length=1)
    seed: int
    world: str = Field(min_length=1)
    step: str
    reason: str
    log: str


class _Failures(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    schema_version: int
    failures: list[Failure]


def write_failures(failures: Sequence[Failure], results_dir: str | Path) -> None:
    """Replaces ``failures.json`` in a suite's results; there is none where nothing failed."""
    path = Path(results_dir, FAILURES_JSON)
    if failures:
        content = _Failures(schema_version=SCHEMA_VERSION, failures=list(failures))
        write_text(path, content.model_dump_json(indent=2) + "\n")
    else:
        path.unlink(missing_ok=True)


def read_failures(results_dir: str | Path) -> list[Failure]:
    """The failures of all suites whose results lie below ``results_dir``.

    Raises:
        RecordError: a file is broken or of another schema.
    """
    found = []
    for path in sorted(Path(results_dir).rglob(FAILURES_JSON)):
        try:
            content = json.loads(path.read_bytes())
            if isinstance(content, dict) and content.get("schema_version") != SCHEMA_VERSION:
                raise ValueError(f"schema version {content.get('schema_version')}, this one reads {SCHEMA_VERSION}")
            found += _Failures.model_validate(content).failures
        except (OSError, ValueError) as error:
            fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise RecordError(
                f"{path}: cannot be read as failures of a suite ({fault}); remove it and run the suite again"
            ) from error
    return found
