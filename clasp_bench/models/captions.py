"""Pseudo-captions of a batch, made on the spot from the labels of its photos, and the small text models that read and write them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from clasp_bench.distributed import global_weight
from clasp_bench.errors import ConfigError
from clasp_bench.teacher import LabelRows, load_vocabulary
from clasp_bench.teacher.captions import NOUN, captions

PADDING, COMMA = 0, ","


def words_of(text: str) -> list[str]:
    """The words of a caption, commas among them."""
    return text.replace(COMMA, f" {COMMA}").split()


class CaptionReader:
    """Turns the labels of photos into the word numbers of their captions.

    The words are those that the vocabulary's captions can say, a comma among them: about a hundred, not CLIP's 49,408.

    Args:
        vocabulary: Name or file of the vocabulary that the labels were made with.
        attribute_groups: Number of classes in each attribute group, as the label store says.

    Attributes:
        index: Number of each word, from 1.
        longest: Words of the longest caption there can be.

    Raises:
        ConfigError: the labels have other groups than `vocabulary`.
    """

    def __init__(self, vocabulary: str, attribute_groups: Sequence[int]):
        self.vocabulary = load_vocabulary(vocabulary)
        said = [[entry.says or "" for entry in classes.values()] for classes in self.vocabulary.attributes.values()]
        if [len(classes) for classes in said] != list(attribute_groups):
            raise ConfigError(
                f"the labels have attribute groups of {list(attribute_groups)} classes, the vocabulary {vocabulary!r} of "
                f"{[len(classes) for classes in said]}; set model.vocabulary to the one they were made with"
            )
        words = sorted({word for classes in [[NOUN], *said] for says in classes for word in words_of(says)} - {COMMA})
        self.index = {word: 1 + place for place, word in enumerate([COMMA, *words])}
        self.longest = len(words_of(NOUN)) + sum(1 + max(len(words_of(says)) for says in classes) for classes in said)

    @property
    def count(self) -> int:
        """Number of words, padding included."""
        return 1 + len(self.index)

    def __call__(self, attributes: Tensor, attribute_confidence: Tensor) -> Tensor:
        """Soft labels (B, A) and confidences (B, groups) to word numbers (B, longest), 0 where a caption is shorter."""
        count, none = len(attributes), np.zeros(0)
        rows = LabelRows(none, none, attributes.cpu().numpy(), attribute_confidence.cpu().numpy(), np.ones(count, bool))
        lines = [words_of(caption) for caption in captions(rows, self.vocabulary)]
        numbers = torch.zeros(count, self.longest, dtype=torch.long)
        for row, line in enumerate(lines):
            numbers[row, : len(line)] = torch.tensor([self.index[word] for word in line])
        return numbers.to(attributes.device)


class CaptionTower(nn.Module):
    """Transformer over the words of captions, after a token that gathers them.

    Args:
        vocabulary, attribute_groups: See `CaptionReader`.
        width, depth, heads: Of the transformer.

    Shapes: soft labels (B, A) and confidences (B, groups) to features (B, width).

    Raises:
        ConfigError: see `CaptionReader`.
    """

    def __init__(
        self, vocabulary: str, attribute_groups: Sequence[int], width: int = 128, depth: int = 2, heads: int = 4
    ):
        super().__init__()
        self.width = width
        self.read = CaptionReader(vocabulary, attribute_groups)
        self.words = nn.Embedding(self.read.count, width, padding_idx=PADDING)
        self.gather = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty(1 + self.read.longest, width))
        for parameter in (self.gather, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)
        self.layers = transformer(width, depth, heads)

    def forward(self, attributes: Tensor, attribute_confidence: Tensor) -> Tensor:
        return self.encode(self.read(attributes, attribute_confidence))[:, 0]

    def encode(self, words: Tensor, hidden: Tensor | None = None, mask_token: Tensor | None = None) -> Tensor:
        """Words (B, L) to tokens (B, 1 + L, width), the one that gathers them first.

        Args:
            hidden: (B, L) bool; `mask_token` (width,) stands in for the words where it is true.
        """
        embedded = self.words(words)
        if hidden is not None:
            embedded = torch.where(hidden[..., None], mask_token, embedded)
        tokens = torch.cat([self.gather.expand(len(words), 1, -1), embedded], dim=1)
        return self.layers(tokens + self.positions[: tokens.shape[1]], src_key_padding_mask=padding(words))


class CaptionWriter(nn.Module):
    """Causal transformer that writes a caption word by word while it looks at a photo.

    Args:
        vocabulary, attribute_groups: See `CaptionReader`.
        seen: Width of the photo's tokens.
        width, depth, heads: Of the transformer.

    Raises:
        ConfigError: see `CaptionReader`.
    """

    def __init__(
        self,
        vocabulary: str,
        attribute_groups: Sequence[int],
        seen: int,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
    ):
        super().__init__()
        self.read = CaptionReader(vocabulary, attribute_groups)
        self.words = nn.Embedding(self.read.count, width, padding_idx=PADDING)
        self.begin = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty(1 + self.read.longest, width))
        for parameter in (self.begin, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)
        self.look = nn.Linear(seen, width)
        layer = nn.TransformerDecoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerDecoder(layer, depth, nn.LayerNorm(width))
        self.next = nn.Linear(width, self.read.count)

    def forward(self, words: Tensor, photo: Tensor) -> Tensor:
        """Words (B, L) and tokens of their photos (B, N, seen) to logits (B, 1 + L, count) of the word at each place, and of what follows the last.

        The logits at a place depend on the photo and the words before it.
        """
        tokens = torch.cat([self.begin.expand(len(words), 1, -1), self.words(words)], dim=1)
        causal = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device=words.device)
        return self.next(self.layers(tokens + self.positions, self.look(photo), tgt_mask=causal, tgt_is_causal=True))


def writing_loss(logits: Tensor, words: Tensor) -> Tensor:
    """Mean cross-entropy of the words of captions and of the padding behind the last, which says that a caption ends.

    Args:
        logits: (B, 1 + L, count), see `CaptionWriter`.
        words: (B, L).
    Returns:
        A scalar in nats, a mean over the words of the global batch.
    """
    wanted = nn.functional.pad(words, (0, 1), value=PADDING)
    told = nn.functional.pad(words != PADDING, (1, 0), value=True)  # up to the first padding
    entropy = nn.functional.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none")
    return (entropy * told.flatten()).sum() / global_weight(told)


def padding(words: Tensor) -> Tensor:
    """(B, 1 + L) bool, true where a token of `CaptionTower.encode` is no word of its caption (B, L)."""
    return nn.functional.pad(words == PADDING, (1, 0))


def transformer(width: int, depth: int, heads: int) -> nn.TransformerEncoder:
    """Pre-norm transformer layers over tokens (B, T, width), with a norm at the end."""
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
