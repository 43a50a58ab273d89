"""Whether what SynthPed's labels say can be seen: a supervised ViT learns one universe and is asked about another.

One nano Vision Transformer with a convolutional stem (Xiao et al., NeurIPS 2021: with one it learns from few photos), from random
weights, learns identities (BNNeck, cross-entropy and triplet) and the 26 attributes of all people of a universe at once, and is scored
on the test people of an unseen one: balanced accuracy and AUC of each attribute, and cross-camera re-identification by Market-1501's rules,
junk and distractors included. Beside it stands matching by colour histograms alone: a world in which that works well is too easy.

Run: python benchmarks/synth_learnable.py work/synthped-small-0 work/synthped-small-1 [--epochs 20] [--table FILE]
Both universes come from `clasp-bench synth ... --scale small`. About 65 minutes of one core; ends with two JSON lines.
"""

import argparse
import json
import math
from pathlib import Path

import cv2
import numpy as np
import torch
from mmpretrain.models.backbones.xcit import ConvPatchEmbed
from scipy.stats import rankdata

from clasp_bench.data.augment import CropPreprocessor
from clasp_bench.data.images import read_resized
from clasp_bench.data.label_sets import ATTRIBUTES
from clasp_bench.data.market1501 import Market1501
from clasp_bench.data.samplers import IdentitySampler
from clasp_bench.data.synthped.truth import truth
from clasp_bench.evaluation.ranking import Ranking, rank
from clasp_bench.files import write_text
from clasp_bench.models.backbones import CLASPViT
from clasp_bench.models.heads import AttributeHead, BNNeckHead
from clasp_bench.progress import meter, track

SIZE = (192, 96)
PEOPLE, PHOTOS = 16, 4
PEAK_LR = 1.5e-3
STRIPES, BINS = 6, (12, 4, 4)


class Album:
    """A universe's crops of some parts in memory, with who they show and the attributes."""

    def __init__(self, root: Path, parts: tuple[str, ...]):
        records = [record for record in truth(root) if record["part"] in parts]
        self.labels = np.unique([record["person"] for record in records], return_inverse=True)[1]
        self.attributes = np.array([record["attributes"] for record in records], np.float32)
        self.pixels = np.stack(
            [read_resized(root / record["file"], SIZE) for record in track(records, f"read {root.name}")]
        )

    def __len__(self) -> int:
        return len(self.labels)


class Student(torch.nn.Module):
    """A nano ViT with a head for who it is and one for what they wear."""

    def __init__(self, album: Album):
        super().__init__()
        self.look = CropPreprocessor(flip=0.5, shift=8, erase=0.3)
        self.backbone = CLASPViT(arch="nano", patch_size=16, img_size=SIZE, out_type="raw")
        width = self.backbone.embed_dims
        self.backbone.patch_embed = ConvPatchEmbed(SIZE, 16, embed_dims=width)
        self.identity = BNNeckHead(width, int(album.labels.max()) + 1)
        self.attribute = AttributeHead(2 * width, album.attributes.mean(0).tolist(), sigma=0.7)

    def forward(self, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of images (B, H, W, 3) uint8 for the two heads."""
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        tokens = self.backbone(self.look({"inputs": images}, self.training)["inputs"])[-1]
        return tokens[:, 0], torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)

    def loss(self, pixels: np.ndarray, labels: np.ndarray, attributes: np.ndarray) -> torch.Tensor:
        whole, both = self(pixels)
        losses = self.identity.loss(whole, torch.from_numpy(labels))
        losses |= self.attribute.loss(both, torch.from_numpy(attributes))
        return losses["loss_identity"] + losses["loss_triplet"] + losses["loss_attributes"] / 8


def learn(album: Album, epochs: int) -> Student:
    """Train on everything in `album`."""
    torch.manual_seed(0)
    student = Student(album).train()
    matrices = [p for name, p in student.backbone.layers.named_parameters() if p.ndim == 2]
    others = [p for name, p in student.named_parameters() if not (name.startswith("backbone.layers") and p.ndim == 2)]
    optimizers = (
        torch.optim.Muon(matrices, 4 * PEAK_LR, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, PEAK_LR, weight_decay=0.05),
    )
    steps = epochs * len(album) // (PEOPLE * PHOTOS)
    stream = iter(IdentitySampler(album, PEOPLE, PHOTOS, seed=0))
    with meter("learn", steps, unit="steps") as shown:
        for step in range(steps):
            warm = min(1.0, (step + 1) / 100)
            for optimizer in optimizers:
                share = warm * (0.5 + 0.5 * math.cos(math.pi * step / steps))
                optimizer.param_groups[0]["lr"] = optimizer.defaults["lr"] * share
            chosen = [next(stream) for _ in range(PEOPLE * PHOTOS)]
            loss = student.loss(album.pixels[chosen], album.labels[chosen], album.attributes[chosen])
            student.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            for optimizer in optimizers:
                optimizer.step()
            shown.advance(note=f"loss {loss.item():.2f}")
    return student.eval()


@torch.inference_mode()
def ask(student: Student, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features to rank by (N, D) and attribute logits (N, 26)."""
    found = []
    for start in track(range(0, len(pixels), 256), "ask"):
        whole, both = student(pixels[start : start + 256])
        found.append((student.identity.neck(whole), student.attribute(both)))
    features, logits = (torch.cat(column).numpy() for column in zip(*found, strict=True))
    return features, logits


def ranking(gallery: Market1501, features: np.ndarray) -> Ranking:
    """Rank everything that is no query for every query, by cosine."""
    features = (features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    person, camera, q = gallery.person_ids, gallery.camera_ids, gallery.num_query
    return rank(features[:q], features[q:], person[:q], person[q:], camera[:q], camera[q:])


def histograms(pixels: np.ndarray) -> np.ndarray:
    """Square roots of HSV histograms of six stripes of the middle half, (N, D): their products are Bhattacharyya's."""
    rows = []
    for picture in pixels[:, :, SIZE[1] // 4 : -SIZE[1] // 4]:
        stripes = np.array_split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV), STRIPES)
        counts = [cv2.calcHist([s], [0, 1, 2], None, BINS, [0, 180, 0, 256, 0, 256]).ravel() for s in stripes]
        rows.append(np.concatenate(counts))
    return np.sqrt(np.stack(rows))


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the receiver operating curve: how often a positive scores above a negative."""
    positives, negatives = labels.sum(), (~labels).sum()
    return (rankdata(scores)[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives)


def attribute_table(labels: np.ndarray, logits: np.ndarray) -> tuple[str, np.ndarray]:
    """Markdown table and the balanced accuracies (26,) at probability 0.5 of a loss that weighs both answers alike."""
    said = logits > 0
    balanced = 0.5 * ((said & labels).sum(0) / labels.sum(0) + (~said & ~labels).sum(0) / (~labels).sum(0))
    rows = ["| attribute | pictures with it | balanced accuracy | AUC |", "| --- | ---: | ---: | ---: |"]
    for i, name in enumerate(ATTRIBUTES):
        share = 100 * labels[:, i].mean()
        rows.append(f"| {name} | {share:.1f} % | {balanced[i]:.3f} | {auc(labels[:, i], logits[:, i]):.3f} |")
    return "\n".join(rows) + "\n", balanced


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("learn", type=Path, help="universe to learn from")
    parser.add_argument("ask", type=Path, help="universe to be asked about")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--table", type=Path, help="also write the attribute table here")
    arguments = parser.parse_args()

    student = learn(Album(arguments.learn, ("train", "val", "test", "photos")), arguments.epochs)
    unseen = Album(arguments.ask, ("test",))
    table, balanced = attribute_table(unseen.attributes > 0.5, ask(student, unseen.pixels)[1])
    print(table)
    if arguments.table:
        write_text(arguments.table, table)

    gallery = Market1501(arguments.ask / "market1501", "test", SIZE)
    pixels = np.stack([read_resized(gallery.root / name, SIZE) for name in track(gallery.names, "read the gallery")])
    learnt, by_colour = (ranking(gallery, each) for each in (ask(student, pixels)[0], histograms(pixels)))
    least = int(balanced.argmin())
    print(json.dumps(
        {"name": "synth_learnable_attributes", "value": round(float(balanced.mean()), 4), "unit": "balanced accuracy", "peer": "chance",
         "peer_value": 0.5, "ratio": round(float(balanced.mean()) / 0.5, 3), "least": [ATTRIBUTES[least], round(float(balanced[least]), 4)]}
    ))  # fmt: skip
    print(json.dumps(
        {"name": "synth_learnable_reid", "value": round(100 * learnt.mean_ap, 2), "unit": "% mAP", "peer": "colour histograms",
         "peer_value": round(100 * by_colour.mean_ap, 2), "ratio": round(learnt.mean_ap / by_colour.mean_ap, 2),
         "rank1": round(100 * learnt.cmc(1), 2)}
    ))  # fmt: skip


if __name__ == "__main__":
    main()
