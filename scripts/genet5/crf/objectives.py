"""What the CRF's training on chains of genes can aim at beside likelihood: a margin, and the expected F1 of sites.

Softmax-margin (Gimpel and Smith 2010, NAACL, "Softmax-margin CRFs"): every wrong base and site adds a cost to a chain's
score before the sums are made, so that wrong chains must lose by as much as they are wrong.

Expected F1: with the marginals of sites, 2 x expected right sites / (expected sites + right sites), over the strands of
a batch. It is a smooth function of the potentials, and its gradient is exact (``_SiteF1``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from genet5.crf.labels import IGNORED, INTRON, NOT_A_SITE
from genet5.crf.sampling import Strand, expected_features

LIKELIHOOD, SOFTMAX_MARGIN, EXPECTED_F1 = "likelihood", "softmax_margin", "expected_f1"
STEP = 1e-4  # of potentials, in nats: differences of float64 marginals are then exact to 1e-8


def margin_costs(labels: Tensor, sites: Tensor, base_cost: float, site_cost: float) -> tuple[Tensor, Tensor]:
    """What to add to potentials of bases [R, W, 4] and sites [R, 4, W + 1], so that chains score more by their cost.

    A base of another class than its label costs ``base_cost``, a site that is missing or wrong ``site_cost``. What
    every chain would pay is left out. labels: [R, W], sites: [R, 4, W + 1], as in ``CrfBatch``.
    """
    classes = torch.arange(1, INTRON + 1, device=labels.device)
    right = labels[..., None] == classes
    known = (labels != IGNORED)[..., None]
    outside = (labels == 0)[..., None]
    # Against neither: no base is dearer than itself.
    of_base = torch.where(known & outside, base_cost, 0.0) - torch.where(known & right, base_cost, 0.0)
    of_site = torch.where(sites == 0, site_cost, 0.0) - torch.where(sites == 1, site_cost, 0.0)
    return of_base, of_site


class _SiteF1(torch.autograd.Function):
    """Expected F1 of sites. Its gradient is H v, with H the covariances of what chains hold and v the gradient by the
    marginals: how marginals change along v, from differences of float64 sums.
    """

    @staticmethod
    def forward(ctx, potentials, site, penalty, allowed, sites, sizes):
        strands = []
        for row, size in enumerate(sizes.tolist()):
            arrays = (part[row].detach().to("cpu", torch.float64).numpy() for part in (potentials, site))
            base, of_site = next(arrays)[:size], next(arrays)[:, : size + 1]
            strands.append(Strand.of(base, of_site, allowed[row, :, : size + 1].cpu().numpy(), float(penalty)))
        truth = [sites[row, :, : size + 1].cpu().numpy() for row, size in enumerate(sizes.tolist())]
        marginals = [expected_features(strand, strand.sums()).of_site for strand in strands]
        hit = sum(float(found[true == 1].sum()) for found, true in zip(marginals, truth, strict=True))
        made = sum(float(found[true >= 0].sum()) for found, true in zip(marginals, truth, strict=True))
        wanted = sum(int((true == 1).sum()) for true in truth)
        value = (2 * hit + 1) / (made + wanted + 1)
        gradients = [torch.zeros_like(part) for part in (potentials, site)] + [0.0]
        for row, (strand, true) in enumerate(zip(strands, truth, strict=True)):
            slope = ((true == 1) * 2.0 - (true >= 0) * value) / (made + wanted + 1)
            moved = [strand._replace(site=strand.site + sign * STEP * slope) for sign in (1, -1)]
            more, less = (expected_features(one, one.sums()) for one in moved)
            size = len(strand.potentials)
            gradients[0][row, :size] = torch.from_numpy((more.of_base - less.of_base) / (2 * STEP)).to(potentials)
            gradients[1][row, :, : size + 1] = torch.from_numpy((more.of_site - less.of_site) / (2 * STEP)).to(site)
            gradients[2] -= (more.genes - less.genes) / (2 * STEP)
        ctx.save_for_backward(*gradients[:2], potentials.new_tensor(gradients[2]))
        return potentials.new_tensor(value)

    @staticmethod
    def backward(ctx, gradient):
        base, site, penalty = ctx.saved_tensors
        return gradient * base, gradient * site, gradient * penalty, None, None, None


def expected_site_f1(potentials: Tensor, site: Tensor, penalty: Tensor, sites: Tensor, sizes: Tensor) -> Tensor:
    """Expected F1 of the sites of strands, a scalar; differentiable in potentials, sites and penalty.

    potentials: [R, W, 4], site: [R, 4, W + 1], sizes: [R], as in ``chain_loss``. sites: labels [R, 4, W + 1] as in
    ``CrfBatch``; sites of which nothing is known count on neither side. One right site more is counted on both sides,
    so that strands without any have a slope.
    """
    return _SiteF1.apply(potentials, site, penalty, sites > NOT_A_SITE, sites, sizes)
