"""Small networks, windows of random DNA, genes the grammar allows on them, and how likely their sequence is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import toy_bacterium

from genet5.crf.config import CrfConfig
from genet5.crf.model import Crf
from genet5.genome.sites import GeneRules
from genet5.genome.window_genes import WindowGene
from genet5.tokens.codec import decode_genes, encode_genes
from genet5.tokens.grammar import Grammar
from genet5.tokens.grammar_steps import Step
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.batch import Batch, Example, collate, collate_decisions, make_example
from genet5.writer.building import new_model, resize_model
from genet5.writer.network import GeneT5Model

torch.set_num_threads(1)  # these networks are too small for more

STOPS = frozenset({"TAA", "TAG", "TGA"})
SPLICED = GeneRules(
    starts=("ATG",),
    splice_pairs=(("GT", "AG"), ("GC", "AG")),
    min_intron_bp=10,
    max_intron_bp=80,
    min_exon_bp=3,
    min_gene_bp=24,
    max_overlap_bp=10,
)
BACTERIA = GeneRules(starts=("ATG", "GTG", "TTG"), min_gene_bp=30, max_overlap_bp=20)
TOKENIZER = GeneTokenizer.build("kmer", k=3, segment_bp=12, max_window_bp=1200)
GRAMMAR = Grammar(TOKENIZER, SPLICED)
PLAIN_GRAMMAR = Grammar(TOKENIZER, BACTERIA)
CLADE = "fungi"
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "feed_forward_size": 48,
    "pointer_size": 16,
}
#: What each kind of network changes of ``SHAPE``.
SLIDING = {"num_layers": 4, "dna_block_size": 16, "dna_window_size": 16}
LATENTS = SLIDING | {"structure_block_size": 16, "structure_window_size": 16, "num_latents": 3, "tie_embeddings": False}
SHAPES: dict[str, dict[str, Any]] = {
    "dense": {},
    "experts": {"num_experts": 3},
    "sliding": SLIDING,
    "latents": LATENTS,
}


def toy_crf(seed: int = 0, **overrides: Any) -> Crf:
    """A small gene finder with fresh weights that sees genes, in evaluation mode."""
    crf = toy_bacterium.toy_crf(seed, **overrides)
    for network in crf.networks:
        network.gene_penalty.data.fill_(-3.0)  # an untrained network would see none
    return crf


def toy_model(seed: int = 0, tokenizer: GeneTokenizer = TOKENIZER, **overrides: Any) -> GeneT5Model:
    """A small network with weights large enough that its choices differ, in evaluation mode.

    overrides: of the shape of the language model, and of that of its CRF.
    """
    of_crf = {name: overrides.pop(name) for name in list(overrides) if name in CrfConfig().to_dict()}
    model = new_model("demo", tokenizer, toy_crf(seed, **of_crf), seed, {**SHAPE, "init_std": 0.2, **overrides})
    return resize_model(model, tokenizer, seed).eval()


def random_bases(rng: np.random.Generator, size: int, unknown: float = 0.0) -> str:
    letters = rng.choice(list("ACGT"), size=size)
    letters[rng.random(size) < unknown] = "N"
    return "".join(letters)


def random_genes(grammar: Grammar, bases: str, rng: np.random.Generator) -> list[WindowGene]:
    """Genes from a random walk through the grammar: any structure it can write, on either strand."""
    cursor, ids = grammar.begin(grammar.sites(bases)), []
    while not cursor.finished:
        legal = cursor.legal_ids()
        if cursor.step is Step.GENE and rng.random() < 0.8 and len(legal) > 1:
            legal = legal[legal != grammar.tokenizer.eos]
        token = int(rng.choice(legal))
        cursor.advance(token)
        ids.append(token)
    return decode_genes(ids, len(bases), grammar.tokenizer)


def toy_example(size: int, seed: int, *, grammar: Grammar = GRAMMAR, unknown: float = 0.0) -> Example:
    rng = np.random.default_rng(seed)
    bases = random_bases(rng, size, unknown)
    return make_example(bases, CLADE, random_genes(grammar, bases, rng), grammar)


def toy_batch(sizes: tuple[int, ...], seed: int = 0, **options: Any) -> Batch:
    return collate([toy_example(size, seed + number, **options) for number, size in enumerate(sizes)])


def forced_choices(
    model: GeneT5Model, grammar: Grammar, bases: str, genes: list[WindowGene]
) -> dict[int, tuple[np.ndarray, int]]:
    """Choices of the structure sequence of ``genes`` by the training path: one pass, no cache.

    Of each token that is one: log-probabilities of all options, and which is taken.
    """
    example = make_example(bases, CLADE, genes, grammar)
    batch = collate([example])
    lengths = batch.prompts.lengths
    found = {}
    with torch.no_grad():
        scores = model.score(batch.prompts)
        states, post_keys, _ = model.hidden_states(batch, scores)
        for taken in example.steps:
            decisions = collate_decisions([(0, taken)])
            hidden = states[0, taken.step][None]
            if taken.decision.structure is not None:
                tokens = model.written_tokens
                values = model.head.structure_logits(hidden, decisions.structure, scores.sums, tokens)
                index = taken.target
            else:
                weighed = model.head.candidate_scores(hidden, scores, lengths, post_keys, decisions.places)
                values, _, unit = model.head.place_units(weighed, decisions.places)
                wanted = taken.target if taken.decision.is_offset else taken.target // TOKENIZER.segment_bp
                index = int(torch.nonzero(unit == wanted))
            found[taken.step] = torch.log_softmax(values, 0).numpy(), index
    return found


def forced_log_probabilities(model: GeneT5Model, grammar: Grammar, bases: str, genes: list[WindowGene]) -> list[float]:
    """Log-probability of each token of the structure sequence of ``genes``, by the training path."""
    choices = forced_choices(model, grammar, bases, genes)
    nothing = np.zeros(1), 0
    size = len(encode_genes(genes, len(bases), TOKENIZER))
    return [float(chances[taken]) for chances, taken in (choices.get(step, nothing) for step in range(size))]
