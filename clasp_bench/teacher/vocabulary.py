"""Vocabularies: what the teacher is asked for, as YAML that users may extend.

A vocabulary names parts (for every patch one of them) and attributes in groups (in every group one class is true of an image), each with
the phrases it goes by, and templates that turn a phrase into sentences. A file that starts with ``extends: NAME`` changes another one: its
parts and templates replace the other's, its attribute groups are added, replace the group of that name, or, given as null, take it out.
"""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from clasp_bench.data.label_sets import LIP_CLASSES
from clasp_bench.errors import ConfigError
from clasp_bench.files import digest
from clasp_bench.teacher.attribute_names import DATASETS
from clasp_bench.yaml_files import read_yaml

SHIPPED = Path(__file__).parent / "vocabularies"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Strict):
    """A part of the picture.

    Attributes:
        phrases: what it is called; a patch's score is the best over them.
        share: about what share of a photo's patches shows it; scores are raised by its logarithm (a contrastive teacher's own scores are
            as if all parts were as common). Given for all parts or for none.
        rows: where the centre of a person image's cells that show it lies, as fractions of the image's height from the top; cells outside
            are unlikely to show it. Used only where the person prior is switched on.
        lip: LIP classes that belong to it, for judging labels against masks.
    """

    phrases: list[str] = Field(min_length=1)
    share: float | None = Field(None, gt=0, lt=1)
    rows: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(le=1)]] | None = None
    lip: list[str] = []

    @field_validator("lip")
    @classmethod
    def _known_classes(cls, lip: list[str]) -> list[str]:
        if unknown := set(lip) - set(LIP_CLASSES):
            raise ValueError(f"LIP has no class {min(unknown)!r}; it has {', '.join(LIP_CLASSES)}")
        return lip

    @field_validator("rows")
    @classmethod
    def _top_before_bottom(cls, rows: tuple[float, float] | None) -> tuple[float, float] | None:
        if rows and rows[0] >= rows[1]:
            raise ValueError(f"must be [top, bottom] with top above bottom, got {list(rows)}")
        return rows


class AttributeClass(_Strict):
    """One class of an attribute group.

    Attributes:
        phrases: what it is called; a class's text is the mean over them.
        share: about what share of images shows it; what balancing against collapsed classes aims at (see `clasp_bench.teacher.balance`).
            A group's classes without one divide what is left evenly.
        says: what a caption says where this class is confident; nothing where absent.
        truth: ``key`` or ``key=value`` of the ground truth that says this class is present, for judging labels; PA-100K's names are keys.
        names: data set (``pa100k``, ``peta``, ``rapv2``) to its names for this class.
    """

    phrases: list[str] = Field(min_length=1)
    share: float | None = Field(None, gt=0, lt=1)
    says: str | None = None
    truth: str | None = None
    names: dict[str, list[str]] = {}

    @field_validator("truth")
    @classmethod
    def _known_truth(cls, truth: str | None) -> str | None:
        known = (*DATASETS["pa100k"], *(f"not {name}" for name in DATASETS["pa100k"]))
        if truth and truth not in known and not re.fullmatch(r"(upper|lower)_colour=[^=]+", truth):
            raise ValueError(
                f"{truth!r} is no attribute of PA-100K, not one after 'not ', and neither upper_colour=... nor lower_colour=..."
            )
        return truth

    @field_validator("names")
    @classmethod
    def _known_names(cls, names: dict[str, list[str]]) -> dict[str, list[str]]:
        for dataset, entries in names.items():
            if dataset not in DATASETS:
                raise ValueError(f"the data set {dataset!r} is not known; choose from {', '.join(DATASETS)}")
            if unknown := set(entries) - set(DATASETS[dataset]):
                raise ValueError(f"{dataset} has no attribute {min(unknown)!r}")
        return names


class Vocabulary(_Strict):
    """See the module. The order of parts, groups and classes is the order of labels in the store."""

    name: str
    part_templates: list[str] = Field(min_length=1)
    attribute_templates: list[str] = Field(min_length=1)
    parts: dict[str, Part] = Field(min_length=2, max_length=255)
    attributes: dict[str, dict[str, AttributeClass]]

    @field_validator("part_templates", "attribute_templates")
    @classmethod
    def _one_place_each(cls, templates: list[str]) -> list[str]:
        for template in templates:
            if template.count("{}") != 1 or template.count("{") + template.count("}") != 2:
                raise ValueError(f"the template {template!r} must hold {{}} exactly once, and no other brace")
        return templates

    @field_validator("attributes")
    @classmethod
    def _something_to_choose(cls, groups: dict) -> dict:
        for group, classes in groups.items():
            if len(classes) < 2:
                raise ValueError(f"the group {group!r} needs two classes or more, to choose between")
            if sum(entry.share or 0 for entry in classes.values()) > 1 + 1e-6:
                raise ValueError(f"the shares of group {group!r} add up to more than 1")
            given = [entry.share for entry in classes.values() if entry.share]
            if len(given) < len(classes) and sum(given) > 1 - 1e-6:
                raise ValueError(f"the shares of group {group!r} leave nothing to its classes without one")
        return groups

    @field_validator("parts")
    @classmethod
    def _shares_for_all_or_none(cls, parts: dict[str, Part]) -> dict[str, Part]:
        without = [name for name, part in parts.items() if part.share is None]
        if 0 < len(without) < len(parts):
            raise ValueError(f"{without[0]!r} has no share while other parts have one; give all of them or none")
        return parts

    @model_validator(mode="after")
    def _no_phrase_twice(self) -> "Vocabulary":
        for where, entries in {"parts": self.parts, **self.attributes}.items():
            owner: dict[str, str] = {}
            for name, entry in entries.items():
                for phrase in entry.phrases:
                    if owner.setdefault(phrase, name) != name:
                        raise ValueError(
                            f"{where}: the phrase {phrase!r} stands for both {owner[phrase]!r} and {name!r}"
                        )
        return self

    @property
    def attribute_groups(self) -> dict[str, list[str]]:
        """Group name to class names."""
        return {group: list(classes) for group, classes in self.attributes.items()}

    @property
    def attribute_shares(self) -> list[float]:
        """For each class of each group the share of images expected to show it; sums to 1 in each group."""
        shares = []
        for classes in self.attributes.values():
            given = [entry.share for entry in classes.values()]
            left = max(0.0, 1 - sum(share or 0 for share in given)) / max(1, given.count(None))
            filled = [left if share is None else share for share in given]
            shares += [share / sum(filled) for share in filled]
        return shares

    def names_of(self, dataset: str) -> dict[str, list[tuple[str, str]]]:
        """A data set's attribute name to the (group, class) pairs that mean it; names that no class means are left out."""
        found: dict[str, list[tuple[str, str]]] = {}
        for group, classes in self.attributes.items():
            for name, entry in classes.items():
                for said in entry.names.get(dataset, []):
                    found.setdefault(said, []).append((group, name))
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that changes labels; what only judges or describes them is left out."""
        described = {"parts": {"__all__": {"lip"}}, "attributes": {"__all__": {"__all__": {"says", "truth", "names"}}}}
        return digest(self.model_dump_json(exclude=described).encode())

    @cached_property
    def caption_digest(self) -> str:
        """SHA-256 of what captions can say."""
        said = [[entry.says for entry in classes.values()] for classes in self.attributes.values()]
        return digest(json.dumps(said).encode())


def load_vocabulary(name_or_path: str | Path = "person") -> Vocabulary:
    """Load a shipped vocabulary by name, or a YAML file by path.

    Raises:
        ConfigError: there is none, or it breaks the rules above (file and key are named).
    """
    path, content = _read(name_or_path)
    try:
        return Vocabulary.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}; mend that key") from error


def _read(name_or_path: str | Path, seen: tuple[Path, ...] = ()) -> tuple[Path, dict]:
    """A vocabulary's file and its content, merged with what it extends."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = SHIPPED / f"{name_or_path}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.yaml")))
        raise ConfigError(f"vocabulary: there is no {name_or_path}; give a YAML file or one of: {shipped}")
    content = read_yaml(path, "a vocabulary")
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no keys; write it like {SHIPPED / 'person.yaml'}")
    if "extends" not in content:
        return path, content
    other = content.pop("extends")
    if not isinstance(other, str):
        raise ConfigError(f"{path}: extends: {other!r} is no name; give that of a vocabulary, or a YAML file")
    if path in seen:
        raise ConfigError(f"{path}: extends: goes round in a circle; name a vocabulary that does not extend this one")
    beside = path.parent / other
    source, base = _read(beside if beside.suffix in (".yaml", ".yml") and beside.is_file() else other, (*seen, path))
    groups = {**_groups(source, base), **_groups(path, content)}
    groups = {group: classes for group, classes in groups.items() if classes is not None}
    return path, {**base, **content, "attributes": groups}


def _groups(path: Path, content: dict) -> dict:
    groups = content.get("attributes") or {}
    if not isinstance(groups, dict):
        raise ConfigError(f"{path}: attributes: holds no groups by name; write it like {SHIPPED / 'person.yaml'}")
    return groups
