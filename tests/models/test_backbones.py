import subprocess
import sys

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmpretrain.models.backbones import SwinTransformer

from clasp_bench.models.backbones import PROMPTS, CLASPSwin, CLASPViT
from clasp_bench.models.methods import CLASP
from clasp_bench.models.moe import PCMoE

VIT = dict(arch="nano", img_size=(64, 32), patch_size=16)
SWIN = dict(arch="nano", img_size=(64, 32), window_size=4)
MOE = {CLASPViT: dict(num_layers=2), CLASPSwin: dict(num_stages=2)}
BOTH = pytest.mark.parametrize(("kind", "settings"), [(CLASPViT, VIT), (CLASPSwin, SWIN)])


@BOTH
@pytest.mark.parametrize("router", ["token", "prompt"])
@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("shared_expert", [False, True])
def test_upcycled_moe_computes_the_dense_function(kind, settings, router, top_k, shared_expert):
    torch.manual_seed(0)
    dense = kind(**settings).eval()
    dense.init_weights()
    moe = dict(MOE[kind], num_experts=4, top_k=top_k, router=router, shared_expert=shared_expert)
    sparse = kind(**settings, moe=moe).eval()
    sparse.upcycle(dense)
    images = torch.randn(3, 3, 64, 32)
    torch.testing.assert_close(sparse(images)[0], dense(images)[0], atol=1e-5, rtol=1e-5)


def test_upcycling_from_another_shape_is_refused():
    with pytest.raises(ValueError, match="not in the dense backbone"):
        CLASPViT(**VIT, moe=dict(num_layers=1)).upcycle(CLASPViT(**VIT | dict(patch_size=8)))


@BOTH
@pytest.mark.parametrize("prompt", [*PROMPTS, None])
def test_merged_prompt_router_equals_the_unmerged_one(kind, settings, prompt):
    backbone = with_different_experts(kind(**settings, moe=dict(MOE[kind], router="prompt")))
    mixture = {prompt: 1.0} if prompt else None
    dense = kind(**settings).eval()
    dense.load_state_dict(backbone.dense_state(mixture))  # strict: the keys are those of the dense network
    images = torch.randn(2, 3, 64, 32)
    if prompt is None:
        wanted, got = backbone(images)[0], dense(images)[0]
    else:
        last = dense.trunk(images)  # a dense network's trunk is everything but the last norm
        wanted = backbone.tail(backbone.trunk(images), prompt)
        got = dense.ln1(last) if kind is CLASPViT else dense.norm3(last.flatten(1, 2))
        wanted = wanted if kind is CLASPViT else wanted[:, 1:]
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("moe", [dict(router="token"), dict(router="prompt", shared_expert=True)])
def test_experts_that_no_dense_network_equals_are_not_folded(moe):
    with pytest.raises(ValueError, match="pre-train with"):
        CLASPViT(**VIT, moe=moe).dense_state()


@BOTH
def test_trunk_and_tail_make_the_whole(kind, settings):
    torch.manual_seed(0)
    backbone = kind(**settings, moe=MOE[kind], prompt_mixture=dict(part=2.0), out_type="raw").eval()
    images = torch.randn(2, 3, 64, 32)
    torch.testing.assert_close(backbone(images)[0], backbone.tail(backbone.trunk(images), "part"))


@BOTH
@pytest.mark.parametrize("size", [(64, 32), (96, 80), (50, 37), (32, 96)])
def test_any_image_size_gives_maps_of_its_shape(kind, settings, size):
    out_indices, strides = ((1, 5), (16, 16)) if kind is CLASPViT else ((0, 1, 2, 3), (4, 8, 16, 32))
    backbone = kind(**settings, moe=MOE[kind], out_indices=out_indices, out_type="featmap").eval()
    maps = backbone(torch.randn(1, 3, *size))
    shapes = [tuple(-(-side // stride) for side in size) for stride in strides]
    assert [tuple(one.shape[-2:]) for one in maps] == shapes
    assert [one.shape[1] for one in maps] == ([128, 128] if kind is CLASPViT else [32, 64, 128, 256])
    assert backbone.tail(backbone.trunk(torch.randn(1, 3, *size)), "part").shape[1] == 1 + shapes[-1][0] * shapes[-1][1]


def test_dense_swin_is_mmpretrains():
    torch.manual_seed(0)
    arch = CLASPSwin.arch_zoo["nano"]
    ours = CLASPSwin(**SWIN, out_indices=(1, 3)).eval()
    theirs = SwinTransformer(arch, (64, 32), window_size=4, pad_small_map=True, out_indices=(1, 3))
    theirs.eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 64, 48)
    for a, b in zip(ours(images), theirs(images), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


@BOTH
def test_gradient_checkpointing_changes_no_gradient(kind, settings):
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        backbone = kind(**settings, moe=MOE[kind], with_cp=with_cp, drop_path_rate=0.2)
        torch.manual_seed(1)
        backbone.tail(backbone.trunk(torch.randn(4, 3, 64, 32)), "part").square().mean().backward()
        gradients.append({name: p.grad for name, p in backbone.named_parameters() if p.grad is not None})
    plain, recomputed = gradients
    assert plain.keys() == recomputed.keys() and "prompts.part" in plain
    assert all(torch.equal(plain[name], recomputed[name]) for name in plain)


@BOTH
def test_drop_path_rises_to_its_rate_in_the_experts_and_rests_in_evaluation(kind, settings):
    backbone = kind(**settings, moe=MOE[kind], drop_path_rate=0.5)
    rates = [moe.drop_path.drop_prob for moe in backbone.moe_ffns().values()]
    assert rates == sorted(rates) and rates[-1] == pytest.approx(0.5) and rates[0] > 0
    images = torch.randn(8, 3, 64, 32)
    assert not torch.equal(backbone(images)[0], backbone(images)[0])
    backbone.eval()
    assert torch.equal(backbone(images)[0], backbone(images)[0])


@BOTH
def test_frozen_stages_stay_frozen_when_training_begins_again(kind, settings):
    backbone = kind(**settings, moe=MOE[kind], frozen_stages=1, drop_path_rate=0.1)
    backbone.eval()
    backbone.train()
    stages = backbone.layers if kind is CLASPViT else backbone.stages
    frozen = (
        stages[:1] if kind is CLASPViT else stages[:2]
    )  # mmpretrain counts ViT's blocks from 1, Swin's stages from 0
    for module in (backbone.patch_embed, *frozen):
        assert not module.training and not any(p.requires_grad for p in module.parameters())
    assert stages[-1].training and all(p.requires_grad for p in stages[-1].parameters())
    assert backbone.prompts["part"].requires_grad


@BOTH
def test_layer_wise_decay_goes_down_from_head_to_pixels(kind, settings):
    """mmpretrain's constructor finds a depth for every parameter, experts and prompts included."""
    from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor

    model = torch.nn.Module()
    model.backbone = kind(**settings, moe=MOE[kind])
    model.get_layer_depth = lambda name: model.backbone.get_layer_depth(name, "backbone.")
    build = LearningRateDecayOptimWrapperConstructor(
        dict(type=OptimWrapper, optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.05)), dict(layer_decay_rate=0.5)
    )
    rates = {id(group["params"][0]): group["lr"] for group in build(model).optimizer.param_groups}
    rate = {name: rates[id(p)] for name, p in model.backbone.named_parameters()}
    experts = [rate[f"{name}.w1"] for name in model.backbone.moe_ffns()]
    assert experts == sorted(experts) and experts[-1] < 1.0
    assert rate["prompts.part"] == experts[0]
    assert rate["patch_embed.projection.weight"] == min(rate.values())


@BOTH
def test_clasp_trains_either_backbone(kind, settings):
    from mmengine.logging import MessageHub

    from clasp_bench.data.multicrop import MultiCropPreprocessor

    torch.manual_seed(0)
    MessageHub.get_current_instance().update_info("max_iters", 10)
    patch = 16 if kind is CLASPViT else 32
    preprocessor = dict(
        type=MultiCropPreprocessor,
        global_crops=dict(count=2, size=(64, 32), scale=(0.5, 1.0)),
        local_crops=dict(count=2, size=(32, 32), scale=(0.1, 0.4)),
        patch_size=patch,
    )
    method = CLASP(
        dict(type=kind, moe=MOE[kind], **settings),
        preprocessor,
        num_parts=5,
        attribute_groups=[2, 3],
        projection=dict(prototypes=16, hidden=16, bottleneck=8),
    )
    data = dict(
        inputs=torch.randint(0, 255, (4, 3, 64, 32), dtype=torch.uint8),
        parts=torch.randint(0, 5, (4, 4, 2)),
        part_confidence=torch.rand(4, 4, 2),
        attributes=torch.cat([torch.rand(4, 2).softmax(-1), torch.rand(4, 3).softmax(-1)], 1),
        attribute_confidence=torch.rand(4, 2),
    )
    total, _ = method.parse_losses(method(**method.data_preprocessor(data, True), mode="loss"))
    total.backward()
    for module in (method.backbone.patch_embed, *method.backbone.moe_ffns().values(), method.backbone.prompts):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


LIBRARIES = {
    "mmpretrain": """
default_scope = 'mmpretrain'
model = dict(type='ImageClassifier', backbone={vit_cls}, head=dict(type='LinearClsHead', num_classes=4, in_channels=128))
""",
    "mmpose": """
default_scope = 'mmpose'
model = dict(type='TopdownPoseEstimator', backbone={vit},
    head=dict(type='HeatmapHead', in_channels=128, out_channels=17, deconv_out_channels=(16,), deconv_kernel_sizes=(4,),
              loss=dict(type='KeypointMSELoss'), decoder=dict(type='MSRAHeatmap', input_size=(32, 64), heatmap_size=(8, 16), sigma=2)))
""",
    "mmseg": """
default_scope = 'mmseg'
model = dict(type='EncoderDecoder', backbone={swin}, test_cfg=dict(mode='whole'),
    decode_head=dict(type='UPerHead', in_channels=[32, 64, 128, 256], in_index=[0, 1, 2, 3], channels=16, num_classes=20))
""",
    "mmdet": """
default_scope = 'mmdet'
model = dict(type='RetinaNet', backbone={swin}, neck=dict(type='FPN', in_channels=[32, 64, 128, 256], out_channels=16, num_outs=5),
    bbox_head=dict(type='RetinaHead', num_classes=1, in_channels=16, feat_channels=16, stacked_convs=1,
        anchor_generator=dict(type='AnchorGenerator', octave_base_scale=4, scales_per_octave=3, ratios=[1.0], strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder')))
""",
}
BACKBONES = dict(
    vit_cls="dict(type='clasp_bench.CLASPViT', arch='nano', img_size=(64, 32), moe=dict(num_layers=2))",
    vit="dict(type='clasp_bench.CLASPViT', arch='nano', img_size=(64, 32), out_type='featmap', moe=dict(num_layers=2))",
    swin="dict(type='clasp_bench.CLASPSwin', arch='nano', out_indices=(0, 1, 2, 3), moe=dict(num_stages=1))",
)
FORWARD = """
import sys, torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope, init_default_scope
for path in sys.argv[1:]:
    config = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        init_default_scope(config.default_scope)
        model = MODELS.build(config.model).eval()
        images = torch.randn(2, 3, 64, 32)
        model(images) if config.default_scope == 'mmpretrain' else model(images, None, mode='tensor')
        print(config.default_scope, type(model.backbone).__name__)
"""


def test_a_config_of_each_library_needs_custom_imports_alone(tmp_path):
    paths = []
    for library, text in LIBRARIES.items():
        paths.append(tmp_path / f"{library}.py")
        paths[-1].write_text("custom_imports = dict(imports=['clasp_bench.models'])\n" + text.format(**BACKBONES))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORWARD, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    said = dict(line.split() for line in done.stdout.splitlines() if line.startswith("mm"))
    assert said == dict(mmpretrain="CLASPViT", mmpose="CLASPViT", mmseg="CLASPSwin", mmdet="CLASPSwin")


def with_different_experts(backbone):
    """Experts start equal, and a router nearly even: make them differ, as training does."""
    torch.manual_seed(0)
    backbone.eval()
    with torch.no_grad():
        for module in backbone.modules():
            if isinstance(module, PCMoE):
                module.route_prompt.weight.mul_(5)
                for weight in (module.w1, module.b1, module.w2, module.b2):
                    weight.add_(0.05 * torch.randn_like(weight))
    return backbone


def test_positions_begin_as_sines_and_cosines_and_stay_so_when_weights_are_initialised():
    backbone = CLASPViT("nano", img_size=(64, 32))
    built = backbone.pos_embed.detach().clone()
    backbone.init_weights()
    assert torch.equal(backbone.pos_embed, built) and backbone.pos_embed.requires_grad
    grid = built[0, 1:].unflatten(0, (4, 2))
    nearer, farther = (torch.dist(grid[0, 0], other) for other in (grid[1, 0], grid[3, 0]))
    assert not built[0, 0].any() and 0 < nearer < farther
