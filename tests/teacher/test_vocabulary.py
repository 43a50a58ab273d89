"""Vocabularies: the shipped one fits its sources, and a wrong one is told where it is wrong."""

import pytest
import yaml

from clasp_bench.data.synthped.labels import ATTRIBUTES, LIP_CLASSES
from clasp_bench.errors import ConfigError
from clasp_bench.teacher import load_vocabulary
from clasp_bench.teacher.vocabulary import SHIPPED


def test_shipped_vocabulary_covers_pa100k_and_lip():
    person = load_vocabulary()
    truths = [entry.truth for group in person.attributes.values() for entry in group.values() if entry.truth]
    assert {truth for truth in truths if "=" not in truth and not truth.startswith("not ")} == set(ATTRIBUTES)
    classes = [name for part in person.parts.values() for name in part.lip]
    assert sorted(classes) == sorted(LIP_CLASSES)


def changed(tmp_path, change):
    content = yaml.safe_load((SHIPPED / "person.yaml").read_text())
    change(content)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v["parts"]["head"].update(phrase=["x"]), r"parts\.head\.phrase: Extra inputs"),
        (lambda v: v["parts"]["head"].update(phrases=[]), r"parts\.head\.phrases: List should have at least 1"),
        (
            lambda v: v.update(part_templates=["a photo"]),
            r"part_templates: the template 'a photo' must hold \{\} exactly once",
        ),
        (lambda v: v["attributes"]["hat"].pop("hat"), r"attributes: the group 'hat' needs two classes"),
        (
            lambda v: v["parts"]["feet"]["phrases"].append("a shirt"),
            "'a shirt' stands for both 'upper body' and 'feet'",
        ),
        (lambda v: v["parts"]["feet"].pop("share"), "parts: 'feet' has no share while other parts have one"),
        (lambda v: v.pop("parts"), "parts: Field required"),
    ],
)
def test_a_wrong_vocabulary_names_file_and_key(tmp_path, change, said):
    with pytest.raises(ConfigError, match=rf"mine\.yaml: .*{said}"):
        load_vocabulary(changed(tmp_path, change))


def test_digest_changes_with_a_phrase(tmp_path):
    other = load_vocabulary(changed(tmp_path, lambda v: v["parts"]["head"]["phrases"].append("a forehead")))
    assert other.digest != load_vocabulary().digest
    assert load_vocabulary().digest == load_vocabulary("person").digest


def test_absent_and_broken_files(tmp_path):
    with pytest.raises(ConfigError, match="there is no nothing; give a YAML file or one of: person"):
        load_vocabulary("nothing")
    (tmp_path / "broken.yaml").write_text("parts: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml: is not YAML"):
        load_vocabulary(tmp_path / "broken.yaml")
