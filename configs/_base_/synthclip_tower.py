"""The ViT tower of SynthCLIP as a backbone (clasp_bench/teacher/synthclip/vit/open_clip_config.json), and the pixels it is used to."""

tower = dict(
    arch=dict(embed_dims=192, num_layers=4, num_heads=6, feedforward_channels=768),
    patch_size=8,
    pre_norm=True,
    norm_cfg=dict(type="LN", eps=1e-5),
)
tower_pixels = dict(mean=[122.4, 119.85, 117.3], std=[63.75, 63.75, 63.75])
