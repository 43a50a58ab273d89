"""From a suite file to steps: what runs, in which order, and what makes a step out of date."""

import ast
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clasp_bench import __version__
from clasp_bench.errors import ConfigError
from clasp_bench.files import digest, digest_file

RANDOM = "random"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]  # names become parts of paths


@dataclass(frozen=True)
class Step:
    """One command of a suite.

    Attributes:
        name: unique in the suite.
        arguments: what follows the program's name on the command line.
        needs: steps that must be complete before.
        inputs: files outside the work folder whose content the step depends on.
        outputs: patterns relative to the work folder; the step is complete when each matches something.
            A step without outputs is never complete and runs every time.
        folder: relative to the work folder, the step's own; emptied when the step is out of date.
    """

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    outputs: tuple[str, ...] = ()
    folder: str | None = None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Universe(_Part):
    """A SynthPed universe: its scale and seed."""

    scale: str
    seed: int


class Method(_Part):
    """How a row of the table is pre-trained: a config, relative to the suite file; ``labels`` if it reads them."""

    config: str | None = None
    labels: bool = False


class Task(_Part):
    """A transfer task; ``config``, relative to the suite file, replaces the task's own."""

    config: str | None = None


class Suite(_Part):
    """Methods x tasks x seeds on one world.

    Args:
        command: how a step's program is started, for example ``[srun, --gres=gpu:1, clasp-bench]``.
    """

    universe: Universe
    teacher: str = "synthclip"
    methods: dict[Name, Method] = Field(min_length=1)
    tasks: dict[Name, Task] = Field(min_length=1)
    seeds: list[int] = Field(default=[0], min_length=1)
    command: list[str] = Field(default=[sys.executable, "-m", "clasp_bench"], min_length=1)

    @model_validator(mode="after")
    def _only_random_goes_without_pretraining(self) -> "Suite":
        for name, method in self.methods.items():
            if (method.config is None) != (name == RANDOM):
                raise ValueError(f"method {name}: every method but `{RANDOM}` needs a config, and `{RANDOM}` has none")
        return self


def read_suite(path: str | Path) -> Suite:
    """Reads and checks a suite file.

    Raises:
        ConfigError: no such file, not YAML, an unknown key or a wrong value.
    """
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as a suite ({' '.join(str(error).split())})") from error
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, fault["loc"])) or "suite"
        raise ConfigError(f"{path}: {key}: {fault['msg']} (keys are those of configs/suites/)") from error


def plan(suite: Suite, suite_dir: str | Path, work: str | Path) -> list[Step]:
    """Lays out the steps of a suite, each after those it needs; one pre-training serves all tasks and seeds.

    Args:
        suite_dir: the folder to which the suite's paths are relative.
        work: the folder that will hold everything the suite makes.
    """
    suite_dir, work = Path(suite_dir), Path(work)
    universe, photos, labels, results = (
        str(work / name) for name in ("universe", "universe/photos", "labels", "results")
    )
    render = ("synth", universe, "--scale", suite.universe.scale, "--seed", str(suite.universe.seed))
    steps = [Step("synth", render, outputs=("universe/universe.json",), folder="universe")]
    if any(method.labels for method in suite.methods.values()):
        arguments = ("label", photos, "--out", labels, "--teacher", suite.teacher)
        steps.append(Step("label", arguments, needs=("synth",), outputs=("labels",), folder="labels"))
    for name, method in suite.methods.items():
        if method.config:
            steps.append(_pretrain(name, method, _beside(suite_dir, method.config), photos, labels, work))
    for name in suite.methods:
        for task_name, task in suite.tasks.items():
            for seed in suite.seeds:
                steps.append(_transfer(name, task_name, task, seed, suite_dir, universe, results, work))
    steps.append(
        Step(
            "report",
            ("report", results, "--out", str(work / "report")),
            needs=tuple(step.name for step in steps if step.name.startswith("transfer-")),
        )
    )
    return steps


def _pretrain(name: str, method: Method, config: Path, photos: str, labels: str, work: Path) -> Step:
    folder = f"pretrain/{name}"
    return Step(
        f"pretrain-{name}",
        (
            *("pretrain", str(config), "--data", photos),
            *(("--labels", labels) if method.labels else ()),
            *("--work-dir", str(work / folder), "--resume"),
        ),
        needs=("synth", "label") if method.labels else ("synth",),
        inputs=config_files(config),
        outputs=(f"{folder}/backbone.safetensors",),
        folder=folder,
    )


def _transfer(
    method: str, task_name: str, task: Task, seed: int, suite_dir: Path, universe: str, results: str, work: Path
) -> Step:
    folder = f"transfer/{method}-{task_name}-{seed}"
    weights = RANDOM if method == RANDOM else str(work / f"pretrain/{method}/backbone.safetensors")
    config = _beside(suite_dir, task.config) if task.config else None
    return Step(
        f"transfer-{method}-{task_name}-{seed}",
        (
            *("transfer", task_name, "--weights", weights, "--data", universe, "--seed", str(seed)),
            *(("--config", str(config)) if config else ()),
            *("--out", results, "--work-dir", str(work / folder), "--resume"),
        ),
        needs=("synth",) if method == RANDOM else (f"pretrain-{method}",),
        inputs=config_files(config) if config else (),
        outputs=(f"results/*/{method}/{task_name}/{seed}-*.json",),
        folder=folder,
    )


def _beside(suite_dir: Path, config: str) -> Path:
    return Path(os.path.normpath(suite_dir / config))


def config_files(config: Path) -> tuple[Path, ...]:
    """A Python config and the configs it imports by relative import (``read_base()``), recursively.

    Raises:
        ConfigError: one of them does not exist or is not Python.
    """
    found: list[Path] = []
    waiting = [config]
    while waiting:
        path = waiting.pop().resolve()
        if path in found:
            continue
        found.append(path)
        try:
            tree = ast.parse(path.read_text())
        except (OSError, SyntaxError) as error:
            raise ConfigError(f"{path}: cannot be read as a config ({error}); {config} needs it") from error
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                is_folder = base.is_dir()
                waiting += [base / f"{it.name}.py" for it in node.names] if is_folder else [base.with_suffix(".py")]
    return tuple(found)


def fingerprints(steps: Sequence[Step]) -> dict[str, str]:
    """For each step the digest of its command, its inputs' content, the steps it needs and our version."""
    prints: dict[str, str] = {}
    for step in steps:
        parts = [
            __version__,
            step.name,
            *step.arguments,
            *map(digest_file, step.inputs),
            *(prints[need] for need in step.needs),
        ]
        prints[step.name] = digest(parts)
    return prints
