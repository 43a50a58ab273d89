"""Loading teachers: local files load, absent weights are one sentence that says what to put where, nothing is unpickled or fetched."""

import json
import pickle

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from clasp_bench.errors import ConfigError, DataError
from clasp_bench.teacher import clip, load_vocabulary
from clasp_bench.teacher.clip import load_teacher
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.vocabulary import Vocabulary
from tests.teacher.conftest import SMALL_CLIP


@pytest.fixture
def small_architecture(tmp_path):
    """Registers the tests' small CLIP with open_clip under a name."""
    (tmp_path / "ViT-small-test.json").write_text(json.dumps(SMALL_CLIP))
    open_clip.add_model_config(tmp_path / "ViT-small-test.json")
    return "ViT-small-test"


def test_safetensors_and_torch_files_load_to_the_same_teacher(tmp_path, small_architecture, clip_model):
    save_file(clip_model.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": clip_model.state_dict()}, tmp_path / "w.pt")
    one, two = (load_teacher(f"{small_architecture}:{tmp_path / file}") for file in ("w.safetensors", "w.pt"))
    assert one.fingerprint == two.fingerprint == clip.fingerprint(clip_model)
    assert one.name == "ViT-small-test:w.safetensors"
    image = torch.randn(1, 3, 64, 64)
    assert torch.equal(one.model.encode_image(image), clip_model.encode_image(image))
    with torch.no_grad():
        clip_model.logit_scale += 1
    assert one.fingerprint != clip.fingerprint(clip_model)


def test_another_activation_is_another_teacher(small_architecture, clip_model):
    quick = open_clip.create_model(small_architecture, force_quick_gelu=True)
    quick.load_state_dict(clip_model.state_dict())
    assert clip.fingerprint(quick) != clip.fingerprint(clip_model)


def test_a_vit_at_patch_16_labels_crops_of_twice_their_width(tmp_path, small_architecture, clip_model):
    save_file(clip_model.state_dict(), tmp_path / "w.safetensors")
    teacher = load_teacher(f"{small_architecture}:{tmp_path / 'w.safetensors'}")
    labeller = Labeller(teacher, load_vocabulary(), Settings())
    assert labeller.image_size == (256, 128)
    rows = labeller.label(np.zeros((2, 256, 128, 3), np.uint8))
    assert rows.parts.shape == (2, 16, 8)
    sums = np.add.reduceat(rows.attributes, np.cumsum([0, *labeller.group_sizes[:-1]]), axis=1)
    assert np.allclose(sums, 1, atol=1e-5)


def test_absent_weights_say_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(open_clip.pretrained.urllib.request, "urlopen", lambda *_: pytest.fail("went to the network"))
    with pytest.raises(DataError) as error:
        load_teacher("ViT-B-16:openai")
    sentence = str(error.value)
    assert "https://huggingface.co/timm/vit_base_patch16_clip_224.openai" in sentence
    assert f"at {tmp_path}/clasp-bench/teachers/ViT-B-16-openai.safetensors" in sentence


def test_weights_are_fetched_only_when_asked_for(tmp_path, monkeypatch, small_architecture, clip_model):
    save_file(clip_model.state_dict(), tmp_path / "w.safetensors")
    fetched = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(clip, "get_pretrained_cfg", lambda model, tag: {"url": "https://example.org/w.pt"})
    monkeypatch.setattr(clip, "download_pretrained", lambda known: fetched.append(known) or tmp_path / "w.safetensors")
    with pytest.raises(
        DataError, match=r"nothing is downloaded unless --download is given; put https://example\.org/w\.pt"
    ):
        load_teacher(f"{small_architecture}:tag")
    assert not fetched
    assert load_teacher(f"{small_architecture}:tag", download=True).fingerprint == clip.fingerprint(clip_model)
    assert fetched == [{"url": "https://example.org/w.pt"}]

    def offline(known):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(clip, "download_pretrained", offline)
    with pytest.raises(
        DataError, match=r"cannot be downloaded \(no route to host\); put https://example\.org/w\.pt at"
    ):
        load_teacher(f"{small_architecture}:tag", download=True)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("ViT-Q-99:openai", "'ViT-Q-99:openai' is not known"),
        ("ViT-B-16", "'ViT-B-16' is not known"),
        ("ViT-B-16:nowhere", "ViT-B-16 has no tag 'nowhere'; it has openai"),
        ("roberta-ViT-B-32:laion2b_s12b_b32k", "takes its text side from Hugging Face"),
    ],
)
def test_unknown_teachers_are_told_what_is_known(spec, said):
    with pytest.raises(ConfigError, match=said):
        load_teacher(spec)


def test_a_missing_file_is_named():
    with pytest.raises(DataError, match=r"/nowhere/w\.pt: there is no such file of ViT-B-16 weights"):
        load_teacher("ViT-B-16:/nowhere/w.pt")


def test_weights_of_another_model_and_broken_files_are_refused(tmp_path, small_architecture, clip_model):
    save_file({"visual.conv1.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not weights")
    torch.save(clip_model.state_dict(), tmp_path / "cut.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:400])
    for file in ("other.safetensors", "broken.safetensors", "cut.pt"):
        with pytest.raises(DataError, match=f"{file}: cannot be loaded as weights of {small_architecture}"):
            load_teacher(f"{small_architecture}:{tmp_path / file}")


@pytest.mark.parametrize("device", ["foo", "cuda:99"])
def test_a_device_that_is_not_there_is_told_before_weights_are_looked_for(device):
    with pytest.raises(ConfigError, match=f"device {device}: cannot be used on this machine"):
        load_teacher("ViT-B-16:/nowhere/w.pt", device)


def test_parts_that_are_common_are_chosen_sooner(tmp_path, small_architecture, clip_model):
    save_file(clip_model.state_dict(), tmp_path / "w.safetensors")
    teacher = load_teacher(f"{small_architecture}:{tmp_path / 'w.safetensors'}")
    content = load_vocabulary().model_dump()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 256, 128, 3), dtype=np.uint8)
    confidence = []
    for share in (0.1, 0.5):
        for part in content["parts"].values():
            part["share"] = 0.1
        content["parts"]["feet"]["share"] = share
        rows = Labeller(teacher, Vocabulary.model_validate(content), Settings()).label(pixels)
        confidence.append((rows.parts == 6).mean())
    assert confidence[0] < confidence[1]


class Trap:
    """Writes a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_runs_code_is_refused(tmp_path, small_architecture):
    torch.save({"state_dict": Trap(tmp_path / "ran")}, tmp_path / "trap.pt", pickle_module=pickle)
    with pytest.raises(DataError, match=r"trap\.pt: cannot be loaded"):
        load_teacher(f"{small_architecture}:{tmp_path / 'trap.pt'}")
    assert not (tmp_path / "ran").exists()
