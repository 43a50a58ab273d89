"""The page of a label store: what it says of classes, and that it is one safe file."""

from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from clasp_bench.cli import app
from clasp_bench.data.sources import FolderSource
from clasp_bench.errors import BenchError, ConfigError, LabelMismatch
from clasp_bench.teacher import LabelRows, StoreWriter, load_vocabulary
from clasp_bench.teacher.inspection import count, group_lines, part_lines

IMAGES = 40


@pytest.fixture
def words_file(tmp_path):
    """The coarse vocabulary with two groups."""
    others = (group for group in load_vocabulary().attributes if group not in ("gender", "hat"))
    content = {"extends": "person-coarse", "name": "small", "attributes": dict.fromkeys(others)}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "small.yaml"


@pytest.fixture
def words(words_file):
    return load_vocabulary(words_file)


@pytest.fixture
def photos(tmp_path):
    for number in range(IMAGES):
        name = "<script>bad()</script>.png" if number == 0 else f"{number:02d}.png"
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (20, 40), (6 * number, 80, 90)).save(tmp_path / "photos" / name.replace("/", "-"))
    return tmp_path / "photos"


@pytest.fixture
def store(tmp_path, photos, words):
    """Forty images: no feet anywhere, everyone a man, every second with a hat, one unreadable."""
    names = sorted(file.name for file in photos.iterdir())
    meta = {
        **{"teacher": "made <b>up</b>", "fingerprint": "f" * 64, "settings": {"surgery": "none", "balance": None}},
        **{"vocabulary": words.name, "vocabulary_digest": words.digest, "grid": [4, 2], "parts": list(words.parts)},
        "attribute_groups": words.attribute_groups,
    }
    parts = np.zeros((IMAGES, 4, 2), np.uint8)
    parts[:, 0], parts[:, 1], parts[:, 2] = 1, 2, 3
    attributes = np.tile(np.float32([0.8, 0.2, 0.9, 0.1]), (IMAGES, 1))
    attributes[::2, 2:] = [0.3, 0.7]
    confidence = np.stack([attributes[:, :2].max(axis=1), attributes[:, 2:].max(axis=1)], axis=1)
    valid = np.arange(IMAGES) != 3
    rows = LabelRows(parts, np.full((IMAGES, 4, 2), 0.5, np.float32), attributes, confidence, valid)
    writer = StoreWriter(tmp_path / "labels", FolderSource(photos), meta).begin()
    writer.write(0, rows, {names[3]: "cannot be decoded & so on"})
    return writer.finish()


def test_shares_confidences_and_flags(store, words):
    tally = count(store)
    palette = np.zeros((5, 3), np.uint8)
    parts = {line.name: line for line in part_lines(store, tally, words, None, palette)}
    assert parts["head"].share == pytest.approx(0.25)
    assert parts["head"].confidence == pytest.approx(0.5, abs=0.01)
    assert parts["head"].expected == 0.03
    assert [name for name, line in parts.items() if line.flag] == ["feet"]
    groups = group_lines(store, tally, None, None)
    assert [line.flag for line in groups["gender"]] == ["chosen for almost every photo", "never chosen"]
    assert [line.flag for line in groups["hat"]] == ["", ""]
    assert groups["hat"][1].share == pytest.approx(20 / 39)
    assert groups["hat"][1].confidence == pytest.approx(0.7, abs=0.01)


class Addresses(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.found = set(), []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.found += [value for key, value in attributes if key in ("src", "href")]


def run(*arguments):
    result = CliRunner().invoke(app, ["inspect", "labels", *map(str, arguments)])
    if isinstance(result.exception, BenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_page_is_one_file_that_escapes_names(store, photos, words_file, tmp_path):
    arguments = (store.path, photos, "--out", tmp_path / "page.html", "--pictures", 5, "--vocabulary", words_file)
    assert "page of 40 labelled images" in run(*arguments)
    page = (tmp_path / "page.html").read_text()
    parsed = Addresses()
    parsed.feed(page)
    assert "script" not in parsed.tags
    assert all(address.startswith("data:image/jpeg;base64,") for address in parsed.found)
    assert len(parsed.found) == 3 * 5
    assert "made &lt;b&gt;up&lt;/b&gt;" in page
    assert "cannot be decoded &amp; so on" in page
    assert "gender, woman: never chosen" in page
    assert "a man wearing a hat" in page
    assert "Not judged: the truth of these images is not known" in page


def test_page_without_images_has_no_pictures(store, tmp_path):
    run(store.path, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Not judged: no images were given" in page
    assert "<img" not in page


def test_other_images_and_another_vocabulary_are_refused(store, photos, tmp_path):
    with pytest.raises(ConfigError, match="is another vocabulary than that of"):
        run(store.path, "--vocabulary", "person", "--out", tmp_path / "page.html")
    Image.new("RGB", (4, 4)).save(photos / "new.png")
    with pytest.raises(LabelMismatch):
        run(store.path, photos, "--out", tmp_path / "page.html")


def test_a_store_of_an_unknown_vocabulary_still_has_a_page(store, photos, tmp_path):
    run(store.path, photos, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Not judged: the store's vocabulary was not given" in page.replace("&#39;", "'")
    assert "hardly ever chosen" in page
