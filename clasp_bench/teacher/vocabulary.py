"""Vocabularies: what the teacher is asked for, as YAML that users may extend.

A vocabulary names parts (for every patch one of them) and attributes in groups (in every group one class is true of an image), each with
the phrases it goes by, and templates that turn a phrase into sentences.
"""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from clasp_bench.errors import ConfigError
from clasp_bench.files import digest

SHIPPED = Path(__file__).parent / "vocabularies"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Strict):
    """A part of the picture.

    Attributes:
        phrases: what it is called; a patch's score is the best over them.
        share: about what share of a photo's patches shows it; scores are raised by its logarithm (a contrastive teacher's own scores are
            as if all parts were as common). Given for all parts or for none.
        lip: LIP classes that belong to it, for judging labels against masks.
    """

    phrases: list[str] = Field(min_length=1)
    share: float | None = Field(None, gt=0, lt=1)
    lip: list[str] = []


class AttributeClass(_Strict):
    """One class of an attribute group.

    Attributes:
        phrases: what it is called; a class's text is the mean over them.
        truth: ``key`` or ``key=value`` of the ground truth that says this class is present, for judging labels; PA-100K's names are keys.
    """

    phrases: list[str] = Field(min_length=1)
    truth: str | None = None


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
            if template.count("{}") != 1:
                raise ValueError(f"the template {template!r} must hold {{}} exactly once")
        return templates

    @field_validator("attributes")
    @classmethod
    def _something_to_choose(cls, groups: dict) -> dict:
        for group, classes in groups.items():
            if len(classes) < 2:
                raise ValueError(f"the group {group!r} needs two classes or more, to choose between")
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
    def digest(self) -> str:
        """SHA-256 of everything that changes labels."""
        return digest(self.model_dump_json().encode())


def load_vocabulary(name_or_path: str | Path = "person") -> Vocabulary:
    """Load a shipped vocabulary by name, or a YAML file by path.

    Raises:
        ConfigError: there is none, or it breaks the rules above (file and key are named).
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = SHIPPED / f"{name_or_path}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.yaml")))
        raise ConfigError(f"vocabulary: there is no {name_or_path}; give a YAML file or one of: {shipped}")
    try:
        return Vocabulary.model_validate(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML ({' '.join(str(error).split())}); mend it there") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}; mend that key") from error
