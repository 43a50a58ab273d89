"""Vocabularies: the shipped one fits its sources, and a wrong one is told where it is wrong."""

import numpy as np
import pytest
import yaml

from clasp_bench.data.label_sets import ATTRIBUTES, LIP_CLASSES
from clasp_bench.errors import ConfigError
from clasp_bench.teacher import load_vocabulary
from clasp_bench.teacher.attribute_names import DATASETS
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
        (lambda v: v["parts"]["feet"].update(rows=[0.9, 0.1]), "top above bottom"),
        (lambda v: v["attributes"]["hat"]["hat"].update(names={"coco": ["x"]}), "the data set 'coco' is not known"),
        (lambda v: v["attributes"]["hat"]["hat"].update(names={"peta": ["Hat"]}), "peta has no attribute 'Hat'"),
        (
            lambda v: [entry.update(share=0.6) for entry in v["attributes"]["hat"].values()],
            "shares of group 'hat' add up to more than 1",
        ),
        (
            lambda v: [
                entry.update(share=share)
                for entry, share in zip(v["attributes"]["view"].values(), (0.5, 0.5, None), strict=True)
            ],
            "shares of group 'view' leave nothing to its classes without one",
        ),
        (lambda v: v["attributes"]["hat"]["hat"].update(truth="Cap"), "'Cap' is no attribute of PA-100K"),
        (lambda v: v["attributes"]["hat"]["hat"].update(truth="a=b=c"), "'a=b=c' is no attribute of PA-100K"),
        (lambda v: v["parts"]["feet"].update(lip=["Helmet"]), "LIP has no class 'Helmet'"),
    ],
)
def test_a_wrong_vocabulary_names_file_and_key(tmp_path, change, said):
    with pytest.raises(ConfigError, match=rf"mine\.yaml: .*{said}"):
        load_vocabulary(changed(tmp_path, change))


@pytest.mark.parametrize("name", ["person", "person-coarse", "person-fine"])
def test_every_shipped_vocabulary_is_whole(name):
    words = load_vocabulary(name)
    assert words.name == name
    classes = [name for part in words.parts.values() for name in part.lip]
    assert sorted(classes) == sorted(LIP_CLASSES)
    assert sum(part.share for part in words.parts.values()) == pytest.approx(1, abs=0.02)
    sums = np.add.reduceat(words.attribute_shares, np.cumsum([0, *map(len, words.attributes.values())])[:-1])
    assert np.allclose(sums, 1)


def test_the_fine_vocabulary_knows_every_attribute_of_three_data_sets():
    words = load_vocabulary("person-fine")
    for dataset, names in DATASETS.items():
        assert set(words.names_of(dataset)) == set(names), dataset
    assert words.names_of("peta")["accessoryHat"] == [("hat", "hat")]
    assert ("lower garment", "jeans") in words.names_of("pa100k")["Trousers"]
    assert [len(DATASETS[name]) for name in ("pa100k", "peta", "rapv2")] == [26, 35, 54]


def test_a_vocabulary_that_extends_another_says_only_what_differs(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "extends: person\nname: mine\nattributes:\n  hat: null\n"
        "  gender: {man: {phrases: [a man]}, woman: {phrases: [a woman], share: 0.25}}\n"
    )
    (tmp_path / "mine-too.yaml").write_text("extends: mine.yaml\nname: mine-too\npart_templates: ['{} there']\n")
    mine, too, person = (
        load_vocabulary(name) for name in (tmp_path / "mine.yaml", tmp_path / "mine-too.yaml", "person")
    )
    assert mine.parts == person.parts
    assert set(person.attributes) - set(mine.attributes) == {"hat"}
    assert mine.attribute_shares[:2] == [0.75, 0.25]
    assert too.attributes == mine.attributes
    assert too.part_templates == ["{} there"]
    (tmp_path / "mine.yaml").write_text("extends: mine-too.yaml\n")
    with pytest.raises(ConfigError, match="extends: goes round in a circle"):
        load_vocabulary(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("extends: person\nname: a\nname: b\n", "the key 'name' stands twice"),
        ("extends: person\nattributes: [a, b]\n", "attributes: holds no groups by name"),
        ("extends:\nname: mine\n", "extends: None is no name"),
        ("extends: 5\n", "extends: 5 is no name"),
        ("extends: [person, person-fine]\n", r"extends: \['person', 'person-fine'\] is no name"),
        ("extends: person\nname: 2024-99-99\n", "cannot be read as a vocabulary"),
        ("extends: person\npart_templates: ['a {} in {scene}']\n", "and no other brace"),
    ],
)
def test_what_is_no_vocabulary_is_a_sentence(tmp_path, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.yaml: .*{said}"):
        load_vocabulary(tmp_path / "mine.yaml")


def test_a_vocabulary_may_extend_one_without_attributes(tmp_path):
    base = changed(tmp_path, lambda v: v.update(attributes=None))
    (tmp_path / "more.yaml").write_text(
        "extends: mine.yaml\nattributes: {gender: {man: {phrases: [a man]}, woman: {phrases: [a woman]}}}\n"
    )
    assert load_vocabulary(tmp_path / "more.yaml").attribute_groups == {"gender": ["man", "woman"]}
    base.write_text("attributes: [a, b]\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: attributes: holds no groups by name"):
        load_vocabulary(tmp_path / "more.yaml")


def test_digest_is_of_what_changes_labels(tmp_path):
    described = load_vocabulary(changed(tmp_path, lambda v: v["parts"]["head"].update(lip=["Hat"])))
    assert described.digest == load_vocabulary().digest
    moved = load_vocabulary(changed(tmp_path, lambda v: v["parts"]["head"].update(rows=[0.0, 0.3])))
    assert moved.digest != load_vocabulary().digest


def test_digest_changes_with_a_phrase(tmp_path):
    other = load_vocabulary(changed(tmp_path, lambda v: v["parts"]["head"]["phrases"].append("a forehead")))
    assert other.digest != load_vocabulary().digest
    assert load_vocabulary().digest == load_vocabulary("person").digest


def test_absent_and_broken_files(tmp_path):
    with pytest.raises(ConfigError, match="there is no nothing; give a YAML file or one of: person"):
        load_vocabulary("nothing")
    (tmp_path / "broken.yaml").write_text("parts: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml: cannot be read as a vocabulary"):
        load_vocabulary(tmp_path / "broken.yaml")
