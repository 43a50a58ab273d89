"""SCL: what is hidden from a photo is recovered from its caption, what is hidden from the caption from the photo."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import all_rows, global_weight, own_rows, uniform
from clasp_bench.models.captions import PADDING, CaptionTower, padding, transformer
from clasp_bench.models.contrast import learnt_temperature, symmetric_info_nce
from clasp_bench.models.masking import hide
from clasp_bench.models.methods.base import SelfSupervised, encode
from clasp_bench.registry import MODELS


class Fusion(nn.Module):
    """Transformer over the tokens of a photo and of its caption together.

    Args:
        photo, caption: Widths of their tokens.
        width, depth, heads: Of the transformer.
    """

    def __init__(self, photo: int, caption: int, width: int = 128, depth: int = 2, heads: int = 4):
        super().__init__()
        self.width = width
        self.photo, self.caption = nn.Linear(photo, width), nn.Linear(caption, width)
        self.layers = transformer(width, depth, heads)

    def forward(self, photo: Tensor, caption: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, 1 + N, .) and (B, 1 + L, .) to the same ones fused, (B, 1 + N, width) and (B, 1 + L, width).

        Args:
            words: (B, L), which of the caption's tokens are words.
        """
        tokens = torch.cat([self.photo(photo), self.caption(caption)], dim=1)
        absent = F.pad(padding(words), (photo.shape[1], 0))
        return self.layers(tokens, src_key_padding_mask=absent).tensor_split([photo.shape[1]], dim=1)


@MODELS.register_module()
class SCL(SelfSupervised):
    """Semantic completion learning: global features of a photo and a caption recovered across the two.

    Source: Ji et al., "Seeing What You Miss: Vision-Language Pre-training with Semantic Completion Learning", CVPR 2023. Four losses: the
    completion, masked words, matching of photo and caption, and CLIP's contrast at one half. Contrasts are sums over both directions and the
    completion's temperature is 0.03, as in the authors' code.
    Left out: the token-level completion of the later version. Changed: photo and caption are fused by one small transformer (the paper's layers
    attend crosswise); a token stands in for hidden patches (theirs are left out); words are named from the caption that the completion masks
    (the paper masks 15 % for that, apart) and heads are linear; a small text tower over the words that captions can hold.

    Args:
        backbone: Config of a dense `CLASPViT`.
        data_preprocessor: As in `SelfSupervised`; the first global crop is read.
        attribute_groups: Number of classes in each attribute group, in the store's order.
        vocabulary: That of the labels.
        text: Arguments of `CaptionTower`: width, depth, heads.
        fusion: Arguments of `Fusion`: width, depth, heads.
        embedding: Width of the space where photos and captions are contrasted.
        patch_share, word_share: Share of the patches and of the words that is hidden; of words one more.
        completion_temperature: Of the completion's contrast.
        temperature: Of CLIP's contrast, at first; it is learnt.
        weights: Factor of each loss: completion, words, matching, clip.
    """

    display_name = "SCL"
    outside_supervision = "CLIP"
    factors: ClassVar = dict(completion=1.0, words=1.0, matching=1.0, clip=0.5)

    def __init__(
        self,
        backbone: dict,
        data_preprocessor: dict,
        attribute_groups: Sequence[int],
        vocabulary: str = "person",
        text: dict | None = None,
        fusion: dict | None = None,
        embedding: int = 64,
        patch_share: float = 0.8,
        word_share: float = 0.4,
        completion_temperature: float = 0.03,
        temperature: float = 0.07,
        weights: dict[str, float] | None = None,
    ):
        super().__init__(backbone, data_preprocessor)
        self.caption_tower = CaptionTower(vocabulary, attribute_groups, **(text or {}))
        widths = self.backbone.feature_dim, self.caption_tower.width
        self.fusion = Fusion(*widths, **(fusion or {}))
        self.mask_token = nn.Parameter(torch.zeros(widths[0]))
        self.word_mask_token = nn.Parameter(torch.zeros(widths[1]))
        self.name = nn.Linear(self.fusion.width, self.caption_tower.read.count)
        self.match = nn.Linear(2 * self.fusion.width, 2)
        self.embed = nn.ModuleList(nn.Linear(width, embedding) for width in widths)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.patch_share, self.word_share = patch_share, word_share
        self.completion_temperature = completion_temperature
        self.weights = self.weighted(weights)

    def loss(self, crops: MultiCrop, attributes: Tensor, attribute_confidence: Tensor) -> dict[str, Tensor]:
        """Args: attributes (B, A) soft labels, attribute_confidence (B, groups): what the captions say. Returns: the four losses."""
        images, words = crops.global_[0], self.caption_tower.read(attributes, attribute_confidence)
        hidden_patches, hidden_words = self.draw_masks(words)
        photo, caption = encode(self.backbone, images[None])[0], self.caption_tower.encode(words)
        part = self.backbone.trunk_blocks(self.backbone.embed(images, hidden_patches, self.mask_token))
        part_of_photo = self.backbone.tail(part, "instance")
        part_of_caption = self.caption_tower.encode(words, hidden_words, self.word_mask_token)

        seen, said = (tokens[:, 0] for tokens in self.fusion(photo, caption, words))
        seen_again = self.fusion(part_of_photo, caption, words)[0][:, 0]
        words_again = self.fusion(photo, part_of_caption, words)[1]
        temperature = learnt_temperature(self.log_temperature)
        losses = {
            "completion": completion_loss((seen_again, words_again[:, 0]), (seen, said), self.completion_temperature),
            "words": masked_mean(self.name(words_again[:, 1:]), words, hidden_words),
            "matching": self._matching_loss(torch.cat([seen, said], 1), photo, caption, words),
            "clip": 2 * symmetric_info_nce(self.embed[0](photo[:, 0]), self.embed[1](caption[:, 0]), temperature),
        }
        return {f"loss_{name}": self.weights[name] * loss for name, loss in losses.items()}

    def draw_masks(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Which patches (B, N) and which words (B, L) are hidden, true where they are."""
        images, longest = words.shape
        draw = uniform(1, images, math.prod(self.backbone.grid) + longest, device=words.device)[0]
        patches, of_words = draw.tensor_split([draw.shape[1] - longest], dim=1)
        is_word = words != PADDING
        count = (self.word_share * is_word.sum(1)).floor() + 1
        return hide(patches, round(self.patch_share * patches.shape[1])), hide(of_words + ~is_word, count) & is_word

    def _matching_loss(self, own: Tensor, photo: Tensor, caption: Tensor, words: Tensor) -> Tensor:
        """Is this its caption? For each photo its own (B, 2 width) and that of the next photo, left out where it says the same."""
        others, their_words = (own_rows(all_rows(rows).roll(1, 0)) for rows in (caption, words))
        wrong = torch.cat([tokens[:, 0] for tokens in self.fusion(photo, others, their_words)], 1)
        told = torch.cat([torch.ones_like(own[:, 0]), (words != their_words).any(1).to(own.dtype)])
        answer = torch.zeros_like(told, dtype=torch.long)
        answer[: len(own)] = 1
        entropy = F.cross_entropy(self.match(torch.cat([own, wrong])).float(), answer, reduction="none")
        return (told * entropy).sum() / global_weight(told)


def completion_loss(recovered: tuple[Tensor, Tensor], whole: tuple[Tensor, Tensor], temperature: float) -> Tensor:
    """InfoNCE of recovered global features with those of the whole pair, which get no gradient, both ways, for photos and captions.

    Args:
        recovered, whole: Of photos and of captions, (B, D) each.
    Returns:
        A scalar in nats, the sum of four cross-entropies.
    """
    pairs = zip(recovered, whole, strict=True)
    return sum(2 * symmetric_info_nce(mine, target.detach(), temperature) for mine, target in pairs)


def masked_mean(logits: Tensor, words: Tensor, hidden: Tensor) -> Tensor:
    """Mean cross-entropy of the hidden words of the global batch.

    Args:
        logits: (B, L, count).
        words, hidden: (B, L), the words and which of them are asked for.
    Returns:
        A scalar in nats.
    """
    entropy = F.cross_entropy(logits.float().flatten(0, 1), words.flatten(), reduction="none")
    return (entropy * hidden.flatten()).sum() / global_weight(hidden)
