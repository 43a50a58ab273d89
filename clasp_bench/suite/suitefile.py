"""The suite file: which methods, tasks and seeds, on which data, and how a step is started."""

import sys
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, NonNegativeInt, ValidationError, model_validator

from clasp_bench.errors import ConfigError
from clasp_bench.shipped import TEACHER_WEIGHTS
from clasp_bench.yaml_files import read_yaml

RANDOM = "random"
#: Words for weights in place of a file, and what `clasp-bench transfer` takes for them.
SHIPPED = {
    RANDOM: RANDOM,
    "synthclip-vit": str(TEACHER_WEIGHTS["synthclip-vit"]),
}

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]  # names become parts of paths
Option = Annotated[str, Field(pattern=r"^[^=\s]+=")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Universe(_Part):
    """A SynthPed universe: its scale and seed; ``layouts`` where not all are needed, see `clasp-bench synth --layouts`."""

    scale: str
    seed: NonNegativeInt
    layouts: list[Name] | None = Field(default=None, min_length=1)


class Fitting(_Part):
    """What the transfers of one row to a task have of their own: a ``config`` in place of the task's, ``options`` after the task's."""

    config: str | None = None
    options: list[Option] = []


class Method(_Part):
    """Where a row of the table starts from: a pre-training ``config``, or ``weights`` that exist already; both relative to the suite file.

    Args:
        weights: a file that `clasp-bench transfer --weights` takes, ``random``, or ``synthclip-vit`` for the image tower of that teacher.
        labels: the pre-training reads them.
        options: overrides of the pre-training's config, ``key.sub=value``.
        tasks: where the backbone is not the one of the tasks' configs.
    """

    config: str | None = None
    weights: str | None = None
    labels: bool = False
    options: list[Option] = []
    tasks: dict[Name, Fitting] = {}


class Task(_Part):
    """A transfer task; ``config``, relative to the suite file, replaces the task's own, ``data`` the universe."""

    config: str | None = None
    data: str | None = None
    options: list[Option] = []


class Suite(_Part):
    """Methods x tasks x seeds on one world.

    Args:
        universe: a universe that the suite renders. Without it ``photos`` are what is pre-trained on, and each task names its ``data``.
        photos: a folder, list, LMDB or tar shards, relative to the suite file.
        labels: a finished label store of the photos; without it the suite makes one with ``teacher`` (SynthCLIP where not given).
        command: how a step's program is started, for example ``[srun, --gres=gpu:1, clasp-bench]``.
        slurm: what a job asks for with ``--executor slurm``, as submitit names it: ``{slurm_partition: gpu, gpus_per_node: 1}``.
    """

    universe: Universe | None = None
    photos: str | None = None
    labels: str | None = None
    teacher: str | None = None
    methods: dict[Name, Method] = Field(min_length=1)
    tasks: dict[Name, Task] = Field(min_length=1)
    seeds: list[NonNegativeInt] = Field(default=[0], min_length=1)
    command: list[str] = Field(default=[sys.executable, "-m", "clasp_bench"], min_length=1)
    slurm: dict[str, JsonValue] = {}

    @model_validator(mode="after")
    def _each_method_starts_from_one_thing(self) -> "Suite":
        for name, method in self.methods.items():
            if method.config and method.weights:
                raise ValueError(
                    f"method {name}: config and weights contradict each other: weights are trained already; leave one out"
                )
            if (method.config or method.weights) is None and name != RANDOM:
                raise ValueError(f"method {name}: every method but `{RANDOM}` needs a config, or weights")
            if name == RANDOM and (method.config or method.weights):
                raise ValueError(f"method {RANDOM}: has neither config nor weights; give the row another name")
            if not method.config and (method.labels or method.options):
                raise ValueError(f"method {name}: has no pre-training here, so it takes neither labels nor options")
            if strangers := method.tasks.keys() - self.tasks.keys():
                raise ValueError(
                    f"method {name}: tasks: {min(strangers)} is no task of this suite, which has {', '.join(self.tasks)}"
                )
        return self

    @model_validator(mode="after")
    def _seeds_stand_once(self) -> "Suite":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: one stands there twice; give each once")
        return self

    @model_validator(mode="after")
    def _data_are_named_once(self) -> "Suite":
        pretrained = [name for name, method in self.methods.items() if method.config]
        if self.universe and self.photos:
            raise ValueError("universe and photos contradict each other: both say what to pre-train on; leave one out")
        if pretrained and not (self.universe or self.photos):
            raise ValueError(f"method {pretrained[0]}: there is nothing to pre-train on; give universe or photos")
        if self.photos and not pretrained:
            raise ValueError("photos: nothing is pre-trained on them, for no method has a config; leave them out")
        if homeless := [name for name, task in self.tasks.items() if not (self.universe or task.data)]:
            raise ValueError(f"task {homeless[0]}: has no data; give data, the folder of its data set, or a universe")
        return self

    @model_validator(mode="after")
    def _scale_is_one_of_synthpeds(self) -> "Suite":
        from clasp_bench.data.synthped.plan import SCALES

        if self.universe and self.universe.scale not in SCALES:
            raise ValueError(f"universe.scale: there is no {self.universe.scale}; choose one of {', '.join(SCALES)}")
        return self

    @model_validator(mode="after")
    def _labels_come_from_one_place(self) -> "Suite":
        if self.labels and self.teacher:
            raise ValueError("labels and teacher contradict each other: the store says who labelled; leave one out")
        if self.labels and not any(method.labels for method in self.methods.values()):
            raise ValueError("labels: no method reads them; set `labels: true` where one does, or leave them out")
        return self


def read_suite(path: str | Path) -> Suite:
    """Reads and checks a suite file.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, a wrong value, keys that contradict each other, or no file of weights.
    """
    content = read_yaml(path, "a suite")
    try:
        suite = Suite.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        if fault["type"] == "value_error":  # ours, which names the key
            raise ConfigError(f"{path}: {fault['ctx']['error']}") from error
        key = ".".join(map(str, fault["loc"])) or "suite"
        raise ConfigError(f"{path}: {key}: {fault['msg']} (docs/suite.md lists the keys)") from error
    reads_labels = any(method.labels for method in suite.methods.values())
    if suite.photos and reads_labels and not suite.labels and Path(path).parent.joinpath(suite.photos).is_file():
        raise ConfigError(
            f"{path}: photos: {suite.photos} is no folder, and only a folder is labelled; label the photos' folder with `clasp-bench label` and "
            "give labels"
        )
    for name, method in suite.methods.items():
        if (
            method.weights
            and method.weights not in SHIPPED
            and not Path(path).parent.joinpath(method.weights).is_file()
        ):
            raise ConfigError(
                f"{path}: method {name}: there is no weights file {method.weights} beside the suite file; "
                f"give its path from there, or one of {', '.join(SHIPPED)}"
            )
    return suite
