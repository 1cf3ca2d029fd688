"""Vector quantisation with a codebook that follows the encoder: exponential moving averages, dead codes restarted.

van den Oord et al. 2017, "Neural discrete representation learning" (the quantiser, commitment loss, straight-through
gradient; its appendix A the moving averages). With several groups a vector is cut into parts, each with a codebook
of its own (product quantisation, Jégou et al. 2011).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed
from torch import Tensor, nn

LLOYD_ROUNDS = 10
DISTANCES_AT_ONCE = 2**26  # 256 MB
VECTORS_PER_CODE = 0.5  # of a batch that forgets by the whole decay
_SMALLEST_COUNT = 1e-5


class Quantised(NamedTuple):
    """What became of vectors [..., dim].

    ``vectors``: of the codebook, with the gradient of what was quantised, [..., dim]. ``codes``: int64, [..., groups].
    ``commitment``: mean squared distance of the input to its codebook vectors, which pulls on the input alone.
    ``codebook``: the same, which pulls on the codebook alone; 0 for a codebook of moving averages.
    """

    vectors: Tensor
    codes: Tensor
    commitment: Tensor
    codebook: Tensor


class VectorQuantiser(nn.Module):
    """Nearest of ``size`` vectors in each of ``groups`` parts of a vector of ``dim`` numbers.

    ``decay``: of the moving averages, in `batch_decay`; 0 trains the codebook by gradient instead. ``restart_below``:
    in training, a code whose moving count is less than this share of the mean count moves to an input of the batch,
    drawn in proportion to its squared distance to its own code (0: never).
    """

    def __init__(self, size: int, dim: int, groups: int = 1, decay: float = 0.99, restart_below: float = 0.02):
        super().__init__()
        if dim % groups:
            raise ValueError(f"{dim} numbers do not divide into {groups} groups")
        self.size, self.dim, self.groups = size, dim, groups
        self.decay, self.restart_below = decay, restart_below
        vectors = torch.empty(groups, size, dim // groups).uniform_(-1 / size, 1 / size)
        if decay:
            self.register_buffer("codebook", vectors)
            self.register_buffer("counts", torch.ones(groups, size))
            self.register_buffer("sums", vectors.clone())
        else:
            self.codebook = nn.Parameter(vectors)
        self.register_buffer("restarts", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs: Tensor) -> Quantised:
        with torch.autocast(inputs.device.type, enabled=False):
            parts = self._parts(inputs.float())
            codes = self._nearest(parts)
            vectors = self._lookup(codes)
            commitment = (parts - vectors.detach()).pow(2).mean()
            codebook = (parts.detach() - vectors).pow(2).mean() if not self.decay else commitment.new_zeros(())
            if self.training and self.decay:
                with torch.no_grad():
                    self._follow(parts, codes)
            straight = parts + (vectors - parts).detach()
            shape = inputs.shape[:-1]
            straight = straight.transpose(0, 1).reshape(*shape, self.dim).to(inputs.dtype)
            return Quantised(straight, codes.T.reshape(*shape, self.groups), commitment, codebook)

    def vectors(self, codes: Tensor) -> Tensor:
        """Codebook vectors, [..., dim], of codes [..., groups]."""
        found = self._lookup(codes.reshape(-1, self.groups).T)
        return found.transpose(0, 1).reshape(*codes.shape[:-1], self.dim)

    @torch.no_grad()
    def initialise(self, inputs: Tensor) -> None:
        """Put the codebook where inputs [n, dim] are: k-means++ and some rounds of Lloyd's algorithm."""
        parts = self._parts(inputs.float())
        for group, points in enumerate(parts):
            centres, counts = kmeans(points, self.size)
            self.codebook.data[group] = centres
            if self.decay:
                share = (counts / counts.sum() * self.size).clamp(min=self.restart_below)
                self.counts[group] = share
                self.sums[group] = centres * share[:, None]

    def _parts(self, inputs: Tensor) -> Tensor:
        """[groups, n, dim / groups]."""
        return inputs.reshape(-1, self.groups, self.dim // self.groups).transpose(0, 1)

    def _nearest(self, parts: Tensor) -> Tensor:
        return torch.stack([nearest(p, c) for p, c in zip(parts, self.codebook.detach(), strict=True)])

    def _lookup(self, codes: Tensor) -> Tensor:
        """[groups, n, dim / groups] of codes [groups, n]."""
        return torch.stack([book[index] for book, index in zip(self.codebook, codes, strict=True)])

    def _follow(self, parts: Tensor, codes: Tensor) -> None:
        """Move the averages by one batch; counts are in units of the mean count, so they do not depend on its size."""
        one_hot = nn.functional.one_hot(codes, self.size).to(parts.dtype)
        counts, sums = one_hot.sum(1), one_hot.transpose(1, 2) @ parts
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(counts)
            torch.distributed.all_reduce(sums)
        seen = counts.sum(1, keepdim=True)  # vectors of all processes, the same in each group
        scale, new = self.size / seen, 1 - batch_decay(self.decay, seen[:1], self.size)
        self.counts.lerp_(counts * scale, new)
        self.sums.lerp_(sums * scale[..., None], new[..., None])
        self.codebook.copy_(self.sums / self.counts.clamp(min=_SMALLEST_COUNT)[..., None])
        if self.restart_below:
            self._restart(parts, codes)

    def _restart(self, parts: Tensor, codes: Tensor) -> None:
        error = (parts - self._lookup(codes)).pow(2).sum(-1)
        for group in range(self.groups):
            dead = torch.nonzero(self.counts[group] < self.restart_below).squeeze(1)
            if not len(dead):
                continue
            weights = error[group] + error[group].mean() * 1e-3 + torch.finfo(error.dtype).tiny
            places = torch.multinomial(weights, len(dead), replacement=len(dead) > len(weights))
            vectors = parts[group, places]
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.broadcast(vectors, src=0)
            # A new code gets the count of an average one, so that it has the time to find its place.
            self.codebook[group, dead] = vectors
            self.counts[group, dead] = 1.0
            self.sums[group, dead] = vectors
            self.restarts += len(dead)


def batch_decay(decay: float, vectors: Tensor, size: int) -> Tensor:
    """What the moving averages of ``size`` codes keep over a batch of ``vectors``: decay ** min(1, 2 vectors / size).

    So averages hold at least 1 / (1 - decay) batches, through which the encoder moves, and at least .5 / (1 - decay)
    vectors for each code, however few a batch has: 10 and 5 with a decay of .9. A decay by batches alone lets the codes
    of a large codebook die between two of their vectors. With a longer memory, codes fall behind the encoder.
    """
    return decay ** (vectors / (VECTORS_PER_CODE * size)).clamp(max=1.0)


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """Index of the centre nearest to each point (squared Euclidean distance), int64, [points]."""
    squares, rows = centres.pow(2).sum(1), max(1, DISTANCES_AT_ONCE // len(centres))
    return torch.cat([(squares - 2 * part @ centres.T).argmin(1) for part in points.split(rows)])


def kmeans(points: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """``size`` centres of points [n, dim], and how many points each has; fewer points than centres are repeated.

    k-means++ (Arthur and Vassilvitskii 2007) chooses the first centres; a centre that loses all its points in a round
    of Lloyd's algorithm moves to the point that is farthest from its own.
    """
    centres = torch.empty(size, points.shape[1], dtype=points.dtype, device=points.device)
    centres[0] = points[torch.randint(len(points), ()).item()]
    distance = (points - centres[0]).pow(2).sum(1)
    for index in range(1, size):
        weights = distance + torch.finfo(distance.dtype).tiny
        centres[index] = points[torch.multinomial(weights, 1).item()]
        distance = torch.minimum(distance, (points - centres[index]).pow(2).sum(1))
    for _ in range(LLOYD_ROUNDS):
        owner = nearest(points, centres)
        counts = torch.bincount(owner, minlength=size)
        sums = torch.zeros_like(centres).index_add_(0, owner, points)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)
        empty = torch.nonzero(counts == 0).squeeze(1)
        if len(empty):
            farthest = (points - centres[owner]).pow(2).sum(1).argsort(descending=True)
            centres[empty] = points[farthest[torch.arange(len(empty)) % len(points)]]
    return centres, torch.bincount(nearest(points, centres), minlength=size).to(points.dtype)
