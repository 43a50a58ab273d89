"""Figures cited from elsewhere: what they are, where they were read, and how surely.

A folder of YAML files: ``methods.yaml`` (who the rows are), ``sources.yaml`` (where figures were read), and one file a task. Only
figures that somebody read in the source named there belong in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from clasp_bench.errors import ConfigError
from clasp_bench.yaml_files import read_yaml

#: How surely a figure is known.
READ, AGGREGATOR, DERIVED = "published", "aggregator only", "derived"

#: The cited figures of a checkout.
CHECKOUT = Path(__file__).parents[2] / "results/published"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Method(_Part):
    """A cited method: its paper, the photos and the supervision of its pre-training.

    Args:
        supervision: what entered beside the photos, ``"none"`` if nothing did.
        task_labels: it read labels of the benchmarks that it is scored on.
    """

    paper: str | None = None
    photos: str | None = None
    supervision: str
    task_labels: bool = False


class Source(_Part):
    """Where figures were read; an ``aggregator`` quotes papers, so that the figure was not seen in the paper."""

    where: str
    aggregator: bool = False


class CitedMetric(_Part):
    """Unit and direction of a metric."""

    unit: str
    higher_is_better: bool


class Figure(_Part):
    """One row of a published table on one data set.

    Args:
        input: height x width in pixels; None where the source does not tell, as is ``backbone``.
        values: metric -> value.
        protocol: what differs from the protocol of the file.
        derived: how the values were worked out, where they do not stand in the source themselves.
    """

    method: str
    backbone: str | None = None
    input: Annotated[str, Field(pattern=r"^\d+x\d+$")] | None = None
    dataset: str
    values: dict[str, FiniteFloat] = Field(min_length=1)
    source: str
    protocol: str | None = None
    derived: str | None = None
    note: str | None = None

    @property
    def row(self) -> tuple[str, str | None, str | None, str | None]:
        """What makes figures on several data sets one row of a table."""
        return self.method, self.backbone, self.input, self.protocol


class CitedTask(_Part):
    """The figures of one task; metrics stand in the order of tables."""

    task: str
    protocol: str
    note: str | None = None
    metrics: dict[str, CitedMetric] = Field(min_length=1)
    figures: tuple[Figure, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Published:
    """All cited figures."""

    methods: dict[str, Method]
    sources: dict[str, Source]
    tasks: tuple[CitedTask, ...]

    def origin(self, figure: Figure) -> str:
        """How surely the figure is known: ``"published"``, ``"aggregator only"`` or ``"derived"``."""
        if figure.derived:
            return DERIVED
        return AGGREGATOR if self.sources[figure.source].aggregator else READ


def read_published(folder: str | Path) -> Published:
    """Reads and checks a folder of cited figures.

    Raises:
        ConfigError: a file is missing or broken, or a figure names an unknown method, source or metric, or stands there twice.
    """
    folder = Path(folder)
    methods = _parse(folder / "methods.yaml", TypeAdapter(dict[str, Method]))
    sources = _parse(folder / "sources.yaml", TypeAdapter(dict[str, Source]))
    files = [path for path in sorted(folder.glob("*.yaml")) if path.name not in ("methods.yaml", "sources.yaml")]
    tasks = {path: _parse(path, TypeAdapter(CitedTask)) for path in files}
    for path, task in tasks.items():
        for fault in _faults(task, methods, sources):
            raise ConfigError(f"{path}: {fault}")
    return Published(methods, sources, tuple(tasks.values()))


def _parse(path: Path, schema: TypeAdapter):
    try:
        return schema.validate_python(read_yaml(path, "cited figures"))
    except ValidationError as error:
        fault = error.errors()[0]
        raise ConfigError(f"{path}: {'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}") from error


def _faults(task: CitedTask, methods: dict[str, Method], sources: dict[str, Source]) -> Iterator[str]:
    seen = set()
    for number, figure in enumerate(task.figures, 1):
        where = f"figure {number} ({figure.method} on {figure.dataset})"
        if figure.method not in methods:
            yield f"{where}: unknown method; describe it in methods.yaml"
        if figure.source not in sources:
            yield f"{where}: unknown source {figure.source}; say in sources.yaml where it is"
        for metric, value in figure.values.items():
            if metric not in task.metrics:
                yield f"{where}: unknown metric {metric}; the file declares {', '.join(task.metrics)}"
            elif task.metrics[metric].unit == "%" and not 0 <= value <= 100:
                yield f"{where}: {metric} {value} is no percentage"
            entry = (*figure.row, figure.dataset, figure.source, metric)
            if entry in seen:
                yield f"{where}: {metric} stands there twice; remove one, or tell the two apart by protocol"
            seen.add(entry)
