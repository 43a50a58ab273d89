"""Clusters of tokens and the body parts they stand for, for a whole batch on its device.

Legend: B images, N tokens of an image in a (rows, columns) grid, D width, K clusters.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def k_means(points: Tensor, members: Tensor, centres: Tensor, steps: int = 10) -> Tensor:
    """Lloyd's algorithm on each image by itself, from given centres: nothing is drawn.

    Args:
        points: (B, N, D).
        members: (B, N) bool; other points move no centre.
        centres: (B, K, D), where the clusters begin; one that loses all its points stays.
    Returns:
        The nearest centre of each point, (B, N).
    """
    for _ in range(steps):
        owner = (
            F.one_hot(torch.cdist(points, centres).argmin(2), centres.shape[1]).to(points.dtype) * members[..., None]
        )
        count = owner.sum(1)[..., None]
        centres = torch.where(count > 0, owner.transpose(1, 2) @ points / count.clamp(min=1), centres)
    return torch.cdist(points, centres).argmin(2)


@torch.no_grad()
def body_parts(tokens: Tensor, grid: tuple[int, int], parts: int = 3) -> tuple[Tensor, Tensor]:
    """Where the person is, and its parts from the top down, by clustering alone.

    Source: Chen et al., "Beyond Appearance: a Semantic Controllable Self-Supervised Learning Framework for Human-Centric Visual Tasks", CVPR 2023
    (SOLIDER). Tokens of large norm are the person; these are clustered by direction, and clusters are ordered by their mean row.
    Changed: batched and on the device, and begun from the person's horizontal bands instead of random points; the authors' code clusters
    tokens, not their directions.

    Args:
        tokens: (B, N, D).
    Returns:
        Labels (B, N), 0 for the background and 1 to `parts` from the top down, and the share of tokens that is the person (B,).
    """
    images, count, _ = tokens.shape
    norm = tokens.norm(dim=2, keepdim=True)
    everyone = torch.ones(images, count, dtype=torch.bool, device=tokens.device)
    person = k_means(norm, everyone, torch.cat([norm.amin(1, keepdim=True), norm.amax(1, keepdim=True)], 1)) == 1
    rank = person.cumsum(1) - 1  # tokens lie row by row
    band = (rank * parts // person.sum(1, keepdim=True).clamp(min=1)).clamp(0, parts - 1)
    direction = F.normalize(tokens, dim=2)
    of_band = F.one_hot(band, parts).to(tokens.dtype) * person[..., None]
    centres = of_band.transpose(1, 2) @ direction / of_band.sum(1)[..., None].clamp(min=1)
    cluster = F.one_hot(k_means(direction, person, centres), parts) * person[..., None]  # (B, N, parts)
    row = torch.arange(count, device=tokens.device) // grid[1]
    members = cluster.sum(1)
    # one without members is no part, and takes the place of none
    mean_row = ((cluster * row[:, None]).sum(1) / members).where(members > 0, torch.inf)
    place = mean_row.argsort(dim=1).argsort(dim=1) + 1
    return (cluster * place[:, None]).sum(2), person.float().mean(1)
