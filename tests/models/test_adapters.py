import pytest
import torch
from torch.nn import functional as F

from clasp_bench.errors import ConfigError
from clasp_bench.models.adapters import Bottleneck, LanguageContext, LVAdapter
from clasp_bench.models.pyramid import SimpleFeaturePyramid

PHRASES = ["a hat", "a shirt", "trousers"]


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    torch.manual_seed(0)


def test_a_bottleneck_is_the_identity_at_first_and_then_a_step_beside_it():
    adapter, x = Bottleneck(4, 2), torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(adapter(x), x)
    torch.nn.init.normal_(adapter[2].weight)
    pixel = x[1, :, 2, 3]
    inner = F.gelu(adapter[0].weight[:, :, 0, 0] @ pixel + adapter[0].bias)
    torch.testing.assert_close(adapter(x)[1, :, 2, 3], pixel + adapter[2].weight[:, :, 0, 0] @ inner)


def test_a_pixel_reads_from_phrases_by_attention():
    context, x, phrases = LanguageContext(4, 6, heads=1), torch.randn(2, 4, 3, 5), torch.randn(3, 6)
    torch.testing.assert_close(context(x, phrases), x)
    attention = context.attention
    torch.nn.init.normal_(attention.out_proj.weight)
    pixel = x[1, :, 2, 3]
    query = attention.q_proj_weight @ context.norm(pixel)
    keys, values = phrases @ attention.k_proj_weight.T, phrases @ attention.v_proj_weight.T
    read = (keys @ query / 4**0.5).softmax(0) @ values
    torch.testing.assert_close(context(x, phrases)[1, :, 2, 3], pixel + attention.out_proj.weight @ read)


def test_adapters_begin_as_the_neck_and_learn_from_what_the_classes_are_called():
    neck = dict(type=SimpleFeaturePyramid, in_channels=8, out_channels=4, num_outs=4)
    adapter = LVAdapter([4] * 4, PHRASES, neck, heads=2)
    maps = (torch.randn(2, 8, 8, 4),)
    made = adapter(maps)
    for mine, plain in zip(made, adapter.neck(maps), strict=True):
        torch.testing.assert_close(mine, plain)
    for context in adapter.contexts:
        torch.nn.init.normal_(context.attention.out_proj.weight)
    adapter(maps)[0].square().mean().backward()
    assert adapter.prompts.shape == adapter.phrases.shape and adapter.prompts.grad.abs().sum() > 0
    other = LVAdapter([4] * 4, ["a shoe", *PHRASES[1:]], neck, heads=2)
    same = torch.isclose(adapter.phrases, other.phrases).all(1)
    assert same.tolist() == [False, True, True]
    other.load_state_dict({key: value for key, value in adapter.state_dict().items() if key != "phrases"}, strict=False)
    assert not torch.allclose(adapter(maps)[0], other(maps)[0], atol=1e-4)


def test_an_unknown_teacher_is_a_sentence():
    with pytest.raises(ConfigError, match="is not known"):
        LVAdapter([4], PHRASES, teacher="synthklip")
