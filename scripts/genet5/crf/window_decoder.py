"""Windows of DNA to genes with a CRF: the networks read a window, and the best chain of each strand is taken."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch

from genet5.crf.annotating_network import AnnotatingNetwork, WindowPotentials
from genet5.crf.chain_sums import NO_LENGTHS
from genet5.crf.decoding import best_genes
from genet5.crf.model import Crf, score_codes, window_codes
from genet5.crf.posterior import gene_log_posteriors
from genet5.evidence.potentials import WindowEvidence
from genet5.genome.genes import Region
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.window_genes import ScoredGene, WindowGene
from genet5.training.precision import chosen_precision, native_bf16

Reader = Callable[[WindowSites], WindowPotentials]


class Addition(Protocol):
    """What joins the potentials of the networks. introns: [L], what an intron of each length below L adds."""

    @property
    def introns(self) -> np.ndarray: ...

    def __call__(self, sites: WindowSites, potentials: WindowPotentials) -> WindowPotentials: ...


Choice = Callable[[WindowSites, WindowPotentials], list[WindowGene]]
Also = Callable[[WindowSites, WindowPotentials, list[WindowGene]], Any]


class WindowDecoder:
    """The best genes of windows under a CRF.

    precision: of its networks (``training/precision.py``). add: makes a window's potentials from those of the networks
    (``adapt/adaptation.py``). evidence: what hints add to them after that. choose: genes of a window's potentials;
    None: the best chains. masked_cost: of a coding base in lower case, in nats. Windows are read by as many threads as
    PyTorch is set to use, each window by one of them on a CPU, so that no number depends on how many there are. A GPU
    reads all windows of a call at once.
    """

    def __init__(
        self,
        crf: Crf,
        rules: GeneRules,
        precision: str = "fp32",
        add: Addition | None = None,
        evidence: WindowEvidence | None = None,
        choose: Choice | None = None,
        masked_cost: float = 0.0,
    ) -> None:
        self.crf, self.rules, self.precision, self.add, self.evidence = crf, rules, precision, add, evidence
        self.choose, self.masked_cost = choose or self._best, masked_cost
        self.gene_penalty = crf.gene_penalty.item()
        self.read = cpu_reader(crf, precision) if crf.device.type == "cpu" else None
        # Also a single one: the memory that it gives back does not pile up in that of the main thread.
        self.each = ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,)).map

    @property
    def introns(self) -> np.ndarray:
        """What an intron of each length adds; longer ones nothing."""
        return NO_LENGTHS if self.add is None else self.add.introns

    def decode(self, windows: Sequence[str], places: Sequence[Region | None] | None = None) -> list[list[ScoredGene]]:
        """Genes of each window, each with its log-probability among all chains of genes.

        places: where the windows lie, which evidence needs.
        """
        places = places or [None] * len(windows)
        if self.read is not None:
            found = list(self.each(self._decode_one, windows, places))
            give_back_memory()
            return found
        sites = list(self.each(lambda window: WindowSites(window, self.rules), windows))
        return list(self.each(self.genes, sites, self._read_all(sites), places))

    def _decode_one(self, window: str, place: Region | None) -> list[ScoredGene]:
        sites = WindowSites(window, self.rules)
        return self.genes(sites, self.read(sites), place)

    def decode_with(
        self, windows: Sequence[str], also: Also, places: Sequence[Region] | None = None
    ) -> list[tuple[list[ScoredGene], Any]]:
        """As ``decode``, with what ``also`` makes of each window, its potentials and its genes."""
        sites = [WindowSites(window, self.rules) for window in windows]
        found = []
        for one, potentials, place in zip(sites, self.read_windows(sites), places or [None] * len(sites), strict=True):
            potentials = self.completed(one, potentials, place)
            genes = self._genes_of(one, potentials)
            found.append((genes, also(one, potentials, [gene for gene, _ in genes])))
        return found

    def read_windows(self, sites: Sequence[WindowSites]) -> list[WindowPotentials]:
        """What the networks say of windows, ``add`` left out."""
        if self.read is not None:
            found = list(self.each(self.read, sites))
            give_back_memory()
            return found
        return [self._read_all([one])[0] for one in sites]

    def _read_all(self, sites: Sequence[WindowSites]) -> list[WindowPotentials]:
        scores = score_codes(self.crf, window_codes(sites).to(self.crf.device), self.precision)
        bases, of_sites = scores.potentials.cpu().numpy(), scores.site_potentials.cpu().numpy()
        return [
            WindowPotentials(bases[row, :, : one.window_bp], of_sites[row, :, :, : one.window_bp + 1])
            for row, one in enumerate(sites)
        ]

    def genes(self, sites: WindowSites, potentials: WindowPotentials, place: Region | None) -> list[ScoredGene]:
        """Genes of a window that is read."""
        return self._genes_of(sites, self.completed(sites, potentials, place))

    def completed(self, sites: WindowSites, potentials: WindowPotentials, place: Region | None) -> WindowPotentials:
        """Potentials with the cost of masked bases, and what an adaptation and hints add."""
        if self.masked_cost and sites.masked.any():
            potentials = potentials._replace(bases=without_masked(potentials.bases, sites.masked, self.masked_cost))
        if self.add is not None:
            potentials = self.add(sites, potentials)
        if self.evidence is not None and place is not None:
            potentials = WindowPotentials(*self.evidence.add(sites, place, *potentials))
        return potentials

    def _genes_of(self, sites: WindowSites, potentials: WindowPotentials) -> list[ScoredGene]:
        genes = self.choose(sites, potentials)
        probable = gene_log_posteriors(*potentials, sites.allowed, self.gene_penalty, genes, self.introns)
        return [ScoredGene(*pair) for pair in zip(genes, probable, strict=True)]

    def _best(self, sites: WindowSites, potentials: WindowPotentials) -> list[WindowGene]:
        return [gene for gene, _ in best_genes(*potentials, sites, self.gene_penalty, self.introns)]


def without_masked(bases: np.ndarray, masked: np.ndarray, cost: float) -> np.ndarray:
    """Potentials of bases [2, W, 4] less ``cost`` for coding ones that are masked, bool [W] of the forward strand."""
    coding = np.array([cost, cost, cost, 0], bases.dtype)
    return bases - np.stack([masked, masked[::-1]])[:, :, None] * coding


@cache
def _malloc_trim() -> Callable[[int], int]:
    return getattr(ctypes.CDLL(None), "malloc_trim", lambda _keep: 0)


def give_back_memory() -> None:
    """Free memory back to the system. The C library keeps what windows leave, in pieces that the next may not fit."""
    _malloc_trim()(0)


#: Of x86 processors, on which the annotating network was faster than the plain one (docs/decisions.md).
MEASURED_CAPABILITIES = ("AVX2", "AVX512")
TRIED_BP = 6_000
LEAST_GAIN = 1.2  # times as fast as the annotating network: from there on, the plain one is taken


def cpu_reader(crf: Crf, precision: str) -> Reader:
    """What gives the potentials of a window on a CPU: the mean of all networks'.

    On a processor of a kind that was not measured, the annotating network and the plain one read a window first, and
    the faster one is taken.
    """
    dtype = torch.bfloat16 if chosen_precision(precision, "cpu") == "bf16" else torch.float32

    def read_plainly(sites: WindowSites) -> WindowPotentials:
        scores = score_codes(crf, window_codes([sites]), precision)
        return WindowPotentials(scores.potentials[0].numpy(), scores.site_potentials[0].numpy())

    if not torch.backends.mkldnn.is_available() or not (dtype == torch.float32 or native_bf16()):
        return read_plainly
    networks = [AnnotatingNetwork(network, dtype) for network in crf.networks]

    def read(sites: WindowSites) -> WindowPotentials:
        asked = np.stack([sites.strand(sign).scored for sign in "+-"])
        found = [network.potentials(sites.strand_codes, asked) for network in networks]
        if len(found) == 1:
            return found[0]
        return WindowPotentials(*(np.mean(one, axis=0) for one in zip(*found, strict=True)))

    if torch.backends.cpu.get_cpu_capability() in MEASURED_CAPABILITIES:
        return read
    return read if _seconds(read) < LEAST_GAIN * _seconds(read_plainly) else read_plainly


def _seconds(read: Reader) -> float:
    """That a window takes when another one was read before."""
    sites = WindowSites("ACGGTAAGTTCAGATG" * (TRIED_BP // 16), GeneRules(splice_pairs=(("GT", "AG"),)))
    read(sites)
    begun = time.perf_counter()
    read(sites)
    return time.perf_counter() - begun
