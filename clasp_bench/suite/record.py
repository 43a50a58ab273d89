"""The run record: one JSON file that says what was run, on what, how, and what came out.

A record is written atomically under a path made from its key; equal runs meet at the same path and are therefore never
counted twice. Everything a reader needs to go from a number to its config, weights, labels and code is in the file.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    ValidationError,
    model_validator,
)

from clasp_bench import __version__
from clasp_bench.data.rendered import universe_of
from clasp_bench.errors import RecordError
from clasp_bench.files import digest, write_text
from clasp_bench.hardware import cpu_name
from clasp_bench.suite.failures import FAILURES_JSON

SCHEMA_VERSION = 3

#: Version n -> the function that turns a record of version n into one of version n + 1.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda data: data,  # version 2 added hours, FLOPs, curves and the digest of the labels, all unknown to version 1
    2: lambda data: data,  # version 3 added what rendered data follow from, unknown to version 2
}

#: What the name of a world begins with that is SynthPed's; its scale follows.
SYNTHPED = "synthped-"
#: What a report writes beside the records it read.
REPORT_JSON = "report.json"

NO_RECORDS = (REPORT_JSON, FAILURES_JSON)

CURVE_POINTS = 200

#: Distributions whose version can change a figure.
PACKAGES = (
    "torch",
    "torchvision",
    "onedl-mmengine",
    "onedl-mmcv",
    "onedl-mmpretrain",
    "timm",
    "open_clip_torch",
    "numpy",
    "numba",
    "anny",
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Dataset(_Part):
    """The labelled data of the task.

    Args:
        digest: over the files used, not the folder they lie in.
        rendering: what rendered pictures follow from: generator, scale and seed; None for photographs. Another kind of processor renders
            the same people and scenes with other roundings, and the files have another digest.
    """

    name: str
    digest: str
    rendering: str | None = None

    @property
    def version(self) -> str:
        """What tells it apart from other versions: the digest of its files or, of rendered pictures, of what they follow from."""
        return self.digest if self.rendering is None else digest(f"{self.name} {self.rendering}".encode())


class Metric(_Part):
    """One figure; ``value`` is in ``unit`` (percentages run from 0 to 100 and have unit ``"%"``)."""

    value: FiniteFloat
    higher_is_better: bool
    unit: str = ""


class RunConfig(_Part):
    """The transfer config; ``text`` is the resolved config, shown by the report where a reader asks for it."""

    name: str
    digest: str
    text: str = ""


class Weights(_Part):
    """The checkpoint a run started from: digest of its file and its contract header."""

    digest: str
    header: dict[str, JsonValue] = {}


class Labels(_Part):
    """The teacher whose pseudo-labels the weights were trained on; ``digest`` is that of the labels themselves."""

    teacher: str
    fingerprint: str
    digest: str | None = None


class Code(_Part):
    """The code that ran; ``commit`` is None outside a checkout, ``dirty`` tells of uncommitted changes."""

    version: str
    commit: str | None = None
    dirty: bool = False


class Hardware(_Part):
    """Where it ran; ``threads`` is the number of compute threads."""

    cpu: str
    threads: int = Field(ge=1)
    device: str


class Cost(_Part):
    """What it took: seconds of wall time, MiB of peak resident memory, parameters, photos seen in pre-training.

    Hours count processors and GPUs: two GPUs busy for an hour are two GPU hours. ``forward_flops`` are those of one image through
    the backbone, 2 for a multiplication and addition. Figures of pre-training are None where there was none, and any is None
    where the run or a foreign checkpoint does not tell.
    """

    wall_seconds: FiniteFloat = Field(ge=0)
    pretrain_wall_seconds: FiniteFloat | None = Field(default=None, ge=0)
    peak_memory_mb: FiniteFloat = Field(ge=0)
    parameters: int = Field(ge=0)
    activated_parameters: int = Field(ge=0)
    photos_seen: int | None = Field(default=None, ge=0)
    cpu_hours: FiniteFloat | None = Field(default=None, ge=0)
    gpu_hours: FiniteFloat | None = Field(default=None, ge=0)
    pretrain_cpu_hours: FiniteFloat | None = Field(default=None, ge=0)
    pretrain_gpu_hours: FiniteFloat | None = Field(default=None, ge=0)
    forward_flops: int | None = Field(default=None, ge=0)


class Curve(_Part):
    """How a figure of training went: its value after each of the ``steps``, at most 200 of them."""

    steps: list[int] = Field(min_length=1, max_length=CURVE_POINTS)
    values: list[FiniteFloat]

    @model_validator(mode="after")
    def _a_value_for_each_step(self) -> "Curve":
        if len(self.values) != len(self.steps) or self.steps != sorted(set(self.steps)):
            raise ValueError("a curve needs rising steps and a value for each")
        return self

    @classmethod
    def thinned(cls, steps: Sequence[int], values: Sequence[float]) -> "Curve":
        """The curve at evenly chosen points, first and last among them, where there are more than a record keeps."""
        last = len(steps) - 1
        chosen = (
            range(len(steps)) if last < CURVE_POINTS else [i * last // (CURVE_POINTS - 1) for i in range(CURVE_POINTS)]
        )
        return cls(steps=[steps[i] for i in chosen], values=[values[i] for i in chosen])


class RunRecord(_Part):
    """One run of one task from one initialisation with one seed.

    Args:
        method: name of the pre-training method as it stands in tables, ``"random"`` for random initialisation.
        task: name of the task; ``task_version`` rises whenever a change of code alters its figures.
        world: data world, e.g. ``"synthped-quick"``; tables never mix worlds.
        protocol: how the weights were used, e.g. ``"full"``.
        metrics: by name, in the order in which tables show them.
        weights: None for random initialisation.
        labels: None where no pseudo-labels were used.
        curves: by name, e.g. ``"loss"``.
        packages: distribution name -> version.
        created: end of the run, UTC.
    """

    schema_version: int = Field(default=SCHEMA_VERSION, ge=SCHEMA_VERSION, le=SCHEMA_VERSION)
    method: str = Field(min_length=1)
    task: str = Field(min_length=1)
    task_version: int = Field(ge=1)
    world: str = Field(min_length=1)
    dataset: Dataset
    protocol: str
    metrics: dict[str, Metric] = Field(min_length=1)
    seed: int
    config: RunConfig
    weights: Weights | None = None
    labels: Labels | None = None
    code: Code
    packages: dict[str, str]
    hardware: Hardware
    cost: Cost
    curves: dict[str, Curve] = {}
    created: AwareDatetime = Field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def key(self) -> str:
        """SHA-256 over what was run on what (not over what came out); equal runs have equal keys."""
        weights = self.weights.digest if self.weights else None
        identity = (self.world, self.task, self.task_version, self.dataset.digest, self.protocol, self.method, weights)
        return digest(json.dumps([*identity, self.seed, self.config.digest]).encode())


def provenance(device: str = "cpu", threads: int | None = None) -> dict[str, Any]:
    """The fields ``code``, ``packages`` and ``hardware`` of a record made by this process.

    Args:
        device: the compute device, e.g. ``"cpu"`` or ``"NVIDIA H200"``.
        threads: compute threads; the processors this process may use where not given.
    Returns:
        keyword arguments for :class:`RunRecord`.
    """
    return {
        "code": _code(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "hardware": Hardware(cpu=cpu_name(), threads=threads or len(os.sched_getaffinity(0)), device=device),
    }


def record_path(record: RunRecord, results_dir: str | Path) -> Path:
    """``<results_dir>/<world>/<method>/<task>/<seed>-<first 8 of the key>.json``, names made safe for file systems."""
    folder = Path(results_dir, *map(file_name, (record.world, record.method, record.task)))
    return folder / f"{record.seed}-{record.key[:8]}.json"


def write_record(record: RunRecord, results_dir: str | Path) -> Path:
    """Writes ``record`` atomically below ``results_dir`` and returns its path; an equal run's record is replaced.

    Raises:
        BenchError: it cannot be written, for example because the disk is full.
    """
    return write_text(record_path(record, results_dir), record.model_dump_json(indent=2) + "\n")


def world_of(data: str | Path) -> str:
    """The world that data are of: ``synthped-<scale>`` for a SynthPed universe or a layout in one, elsewhere the name of their folder."""
    universe = universe_of(data)
    return Path(data).resolve().name if universe is None else f"{SYNTHPED}{universe['scale']}"


def rendering_of(data: str | Path) -> str | None:
    """What data of a SynthPed universe follow from, in words: ``"generator 2, small, seed 1"``; None for other data."""
    universe = universe_of(data)
    return universe and f"generator {universe['generator']}, {universe['scale']}, seed {universe['seed']}"


def read_record(path: str | Path) -> RunRecord:
    """Reads one record, migrating older schema versions.

    Raises:
        RecordError: not a record, a broken one, or one of a newer schema.
    """
    try:
        text = Path(path).read_bytes()
        with suppress(ValidationError):  # what is no whole record of this version is looked at again below
            return RunRecord.model_validate_json(text)
        data = json.loads(text)
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read as JSON ({error}); run it again or remove the file") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise RecordError(
            f"{path}: not a clasp-bench record (no schema_version); keep other JSON files out of the results folder"
        )
    if version > SCHEMA_VERSION:
        raise RecordError(
            f"{path}: has schema version {version}, this one reads {SCHEMA_VERSION}; install a newer clasp-bench"
        )
    try:
        while version < SCHEMA_VERSION:
            data = MIGRATIONS[version](data)
            version += 1
            text = json.dumps(data | {"schema_version": version})
        return RunRecord.model_validate_json(text)
    except KeyError as error:
        raise RecordError(
            f"{path}: cannot be migrated from schema version {version} (missing {error}); run it again"
        ) from error
    except ValidationError as error:
        raise RecordError(f"{path}: broken record ({_first_fault(error)}); run it again or remove the file") from error


def read_records(results_dir: str | Path) -> tuple[list[RunRecord], list[str]]:
    """Reads every record below ``results_dir``, in the order of their paths; ``report.json`` and ``failures.json`` are passed over.

    Returns:
        the records, and one sentence for each file left out. Of two files with the same key the newer counts.
    Raises:
        RecordError: ``results_dir`` is not a folder.
    """
    results_dir = Path(results_dir)
    if not results_dir.is_dir():
        raise RecordError(f"{results_dir}: no such folder; give the one that `clasp-bench transfer --out` wrote to")
    found: dict[str, tuple[Path, RunRecord]] = {}
    warnings = []
    for path in sorted(path for path in results_dir.rglob("*.json") if path.name not in NO_RECORDS):
        try:
            record = read_record(path)
        except RecordError as error:
            warnings.append(str(error))
            continue
        earlier = found.setdefault(record.key, (path, record))
        if earlier[0] != path:
            newer, older = sorted([earlier, (path, record)], key=lambda item: item[1].created, reverse=True)
            found[record.key] = newer
            warnings.append(
                f"{older[0]}: the same run as {newer[0]}, which is newer and counts instead; remove one of the two"
            )
    return [record for _, record in found.values()], warnings


def _code() -> Code:
    package = Path(__file__).resolve().parents[1]
    if (
        _git(package, "ls-files", "--error-unmatch", __file__) is None
    ):  # installed, perhaps into someone else's checkout
        return Code(version=__version__)
    changed = _git(package, "status", "--porcelain", "--untracked-files=no", "--", str(package))
    return Code(version=__version__, commit=_git(package, "rev-parse", "HEAD"), dirty=bool(changed))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).lstrip(".") or "_"


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'record'}: {fault['msg']}"
