"""From a suite to steps: what runs, what each needs, and what makes a step out of date."""

import ast
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clasp_bench import __version__
from clasp_bench.errors import ConfigError
from clasp_bench.files import digest, digest_file
from clasp_bench.shipped import TEACHER_WEIGHTS
from clasp_bench.suite.record import SYNTHPED, file_name, world_of
from clasp_bench.suite.suitefile import RANDOM, SHIPPED, Fitting, Method, Suite, Task
from clasp_bench.tasks import default_config


class Place(str):
    """A path on a command line.

    Attributes:
        spelled: what stands for it in a fingerprint, so that neither where the work folder and the suite lie counts nor how one wrote it.
    """

    spelled: str

    def __new__(cls, path: str | Path, spelled: str) -> "Place":
        place = super().__new__(cls, path)
        place.spelled = spelled
        return place


@dataclass(frozen=True)
class Run:
    """The cell of a table that a step fills."""

    method: str
    task: str
    seed: int
    world: str


@dataclass(frozen=True)
class Step:
    """One command of a suite.

    Attributes:
        name: unique in the suite.
        arguments: what follows the program's name on the command line.
        needs: steps that must be complete before.
        after: steps that must have ended before, well or not; where there are some, one of them must have ended well.
        inputs: files outside the work folder whose content the step depends on.
        outputs: patterns relative to the work folder; the step is complete when each matches something.
            A step without outputs is never complete and runs every time.
        folder: relative to the work folder, the step's own; emptied when the step is out of date.
        run: the run that it makes a record of.
        shown: what it prints is for the user to read, and is shown whole when it has ended.
    """

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    outputs: tuple[str, ...] = ()
    folder: str | None = None
    run: Run | None = None
    shown: bool = False

    @property
    def kind(self) -> str:
        """What steps of about the same cost have in common: the command, and the task of a transfer."""
        return f"transfer {self.run.task}" if self.run else self.arguments[0]


def plan(suite: Suite, suite_dir: str | Path, work: str | Path) -> list[Step]:
    """Lays out the steps of a suite, each after those it needs; one pre-training serves all tasks and seeds.

    Args:
        suite_dir: the folder to which the suite's paths are relative.
        work: the folder that will hold everything the suite makes.
    Raises:
        ConfigError: a config is missing or is not Python.
    """
    return _Plan(suite, Path(suite_dir), Path(work)).steps()


class _Plan:
    def __init__(self, suite: Suite, suite_dir: Path, work: Path):
        self.suite, self.suite_dir, self.work = suite, suite_dir, work
        self.universe, self.results = self._below("universe"), self._below("results")
        self.photos = self._beside(suite.photos) if suite.photos else self._below("universe/photos")
        self.labels = self._beside(suite.labels) if suite.labels else self._below("labels")
        self.rendered = ("synth",) if suite.universe else ()

    def steps(self) -> list[Step]:
        suite = self.suite
        steps = [self._synth()] if suite.universe else []
        if not suite.labels and any(method.labels for method in suite.methods.values()):
            steps.append(self._label())
        steps += [self._pretrain(name, method) for name, method in suite.methods.items() if method.config]
        transfers = [
            self._transfer(row, method, name, task, seed)
            for row, method in suite.methods.items()
            for name, task in suite.tasks.items()
            for seed in suite.seeds
        ]
        return [*steps, *transfers, self._report(transfers)]

    def _synth(self) -> Step:
        universe = self.suite.universe
        arguments = (
            *("synth", self.universe, "--scale", universe.scale, "--seed", str(universe.seed)),
            *(("--layouts", ",".join(universe.layouts)) if universe.layouts else ()),
        )
        return Step("synth", arguments, outputs=("universe/universe.json",), folder="universe")

    def _label(self) -> Step:
        teacher = self.suite.teacher or "synthclip"
        architecture, _, file = teacher.partition(":")
        if file and Path(self._beside(file)).is_file():  # and no tag
            teacher = Place(f"{architecture}:{self._beside(file)}", teacher)
        arguments = ("label", self.photos, "--out", self.labels, "--teacher", teacher)
        weights = TEACHER_WEIGHTS.get(teacher) or Path(teacher.partition(":")[2])
        return Step(
            "label",
            arguments,
            needs=self.rendered,
            inputs=(weights,) if weights.is_file() else (),
            outputs=("labels",),
            folder="labels",
        )

    def _pretrain(self, name: str, method: Method) -> Step:
        folder, config, suite = f"pretrain/{name}", self._beside(method.config), self.suite
        store = Path(self.labels, "store.json")  # tells an outside store from another in its place
        return Step(
            f"pretrain-{name}",
            (
                *("pretrain", config, "--data", self.photos),
                *(("--labels", self.labels) if method.labels else ()),
                *("--work-dir", self._below(folder), "--resume"),
                *_options(method.options),
            ),
            needs=(*self.rendered, *(("label",) if method.labels and not suite.labels else ())),
            inputs=(
                *config_files(Path(config)),
                *((store,) if method.labels and suite.labels and store.is_file() else ()),
            ),
            outputs=(f"{folder}/backbone.safetensors",),
            folder=folder,
        )

    def _transfer(self, row: str, method: Method, task_name: str, task: Task, seed: int) -> Step:
        folder, world = f"transfer/{row}-{task_name}-{seed}", self._world(task)
        # which folder of other data a config reads, and so the world, is known to the transfer alone
        where = file_name(world) if world.startswith(SYNTHPED) else "*"
        weights, data = self._weights(row, method), self._beside(task.data) if task.data else self.universe
        own = method.tasks.get(task_name, Fitting())
        config = self._beside(own.config or task.config) if own.config or task.config else None
        needs = (f"pretrain-{row}",) if method.config else ()
        return Step(
            f"transfer-{row}-{task_name}-{seed}",
            (
                *("transfer", task_name, "--weights", weights, "--data", data, "--seed", str(seed)),
                *(("--method", row) if row != RANDOM else ()),
                *(("--config", config) if config else ()),
                *("--out", self.results, "--work-dir", self._below(folder), "--resume"),
                *_options((*task.options, *own.options)),
            ),
            needs=needs or (() if task.data else self.rendered),
            inputs=(
                *config_files(Path(config) if config else default_config(task_name)),
                *((Path(weights),) if method.weights and weights != RANDOM else ()),
            ),
            outputs=(f"results/{where}/{row}/{task_name}/{seed}-*.json",),
            folder=folder,
            run=Run(row, task_name, seed, world),
        )

    def _weights(self, row: str, method: Method) -> str:
        """What the row's transfers start from."""
        if method.config:
            return self._below(f"pretrain/{row}/backbone.safetensors")
        name = method.weights or RANDOM
        return Place(SHIPPED[name], name) if name in SHIPPED else self._beside(name)

    def _report(self, transfers: Sequence[Step]) -> Step:
        arguments = ("report", self.results, "--out", self._below("report"))
        return Step("report", arguments, after=tuple(step.name for step in transfers), shown=True)

    def _world(self, task: Task) -> str:
        """The name that a record of this task gives to the world it was made on."""
        if not task.data:
            return f"{SYNTHPED}{self.suite.universe.scale}"
        return world_of(self._beside(task.data))

    def _below(self, path: str) -> Place:
        """A path in the work folder."""
        return Place(self.work / path, f"work/{path}")

    def _beside(self, path: str) -> Place:
        """A path of the suite file."""
        return Place(os.path.normpath(self.suite_dir / path), os.path.normpath(path))


def _options(options: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for option in options for word in ("--option", option))


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
        except (OSError, SyntaxError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read as a config ({error}); {config} needs it") from error
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                is_folder = base.is_dir()
                waiting += [base / f"{it.name}.py" for it in node.names] if is_folder else [base.with_suffix(".py")]
    return tuple(found)


def fingerprints(steps: Sequence[Step]) -> dict[str, str]:
    """For each step the digest of its command, its inputs' content, the steps it builds on and our version.

    What a config says counts and not how: another comment, docstring or layout is no reason to train anew, and neither is another place of the
    work folder or the suite.
    """
    prints: dict[str, str] = {}
    digest_once = cache(_digest_content)  # weights are large, and many steps start from the same
    for step in steps:
        parts = [
            __version__,
            step.name,
            *(word.spelled if isinstance(word, Place) else word for word in step.arguments),
            *map(digest_once, step.inputs),
            *(prints[need] for need in (*step.needs, *step.after)),
        ]
        prints[step.name] = digest(parts)
    return prints


def _digest_content(path: Path) -> str:
    if path.suffix != ".py":
        return digest_file(path)
    code = ast.parse(path.read_text())
    if ast.get_docstring(code) is not None:
        del code.body[0]
    return digest(ast.unparse(code).encode())
