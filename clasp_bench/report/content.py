"""What a report holds: the tables of all worlds, one method against the others, and the cited figures of the same tasks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from clasp_bench.errors import RecordError
from clasp_bench.report.against import Comparison, against
from clasp_bench.report.published import CitedTask, Published
from clasp_bench.report.tables import WorldTable, world_tables
from clasp_bench.suite.failures import Failure
from clasp_bench.suite.record import RunRecord

#: The method that others are compared with where none is asked for.
REFERENCE = "CLASP"


@dataclass(frozen=True)
class Report:
    """The content of a report, in no format yet.

    Attributes:
        comparisons: by world; a world without the reference has none.
        published: None where no cited figures were given.
    """

    tables: tuple[WorldTable, ...]
    comparisons: dict[str, list[Comparison]]
    published: Published | None

    @property
    def cited(self) -> list[CitedTask]:
        """The cited figures of the tasks that were measured."""
        measured = {column.task for table in self.tables for column in table.columns}
        return [task for task in self.published.tasks if task.task in measured] if self.published else []


def assemble(
    records: Sequence[RunRecord],
    tasks: Collection[str] = (),
    reference: str | None = None,
    published: Published | None = None,
    failures: Sequence[Failure] = (),
) -> Report:
    """Builds the tables and comparisons.

    Args:
        tasks: those to report; all where empty.
        reference: the method to compare the others with; CLASP, in worlds that have it, where None.
        failures: why runs are missing.
    Raises:
        RecordError: no run is of a task or of the method asked for.
    """
    known = sorted({record.task for record in records})
    if unknown := set(tasks) - set(known):
        raise RecordError(f"there are no runs of task {', '.join(sorted(unknown))}, only of {', '.join(known)}")
    tables = tuple(
        world_tables(
            [record for record in records if not tasks or record.task in tasks],
            [failure for failure in failures if not tasks or failure.task in tasks],
        )
    )
    methods = sorted({method for table in tables for method in table.methods})
    if reference and reference not in methods:
        raise RecordError(f"there are no runs of method {reference}, only of {', '.join(methods)}")
    return Report(tables, {table.world: _compared(table, reference or REFERENCE) for table in tables}, published)


def _compared(table: WorldTable, reference: str) -> list[Comparison]:
    measured = [method for method in table.methods if table.runs(method, table.columns)]
    if reference not in measured:
        return []
    others = [method for method in measured if method != reference]
    return against(table, reference, others, table.headline)
