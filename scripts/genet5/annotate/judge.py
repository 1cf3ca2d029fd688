"""The writer as a judge between the genes that the CRF holds for probable at one place.

It reads a window once, and says how probable it holds the whole annotation with each of them: it sees the neighbours
and the gene from end to end, where the CRF sees one boundary after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from genet5.genome.sites import WindowSites
from genet5.genome.window_genes import ScoredGene, WindowGene, gene_order_key
from genet5.grpo.policy import pack, score_choices
from genet5.grpo.rollouts import Completion, Rollout
from genet5.tokens.grammar import Grammar
from genet5.writer.batch import collate_prompts, make_prompt, written_steps
from genet5.writer.network import GeneT5Model

#: Of the writer's log-probability beside that of the CRF. From .5 to 2, F1 on validation DNA hardly changed.
WRITER_WEIGHT = 0.5


@dataclass(frozen=True)
class Judge:
    """clade: whose token stands in the prompt. precision: of the CRF's networks."""

    writer: GeneT5Model
    grammar: Grammar
    clade: str
    precision: str = "auto"

    def choose(
        self, window: str, genes: Sequence[ScoredGene], others: Mapping[WindowGene, Sequence[ScoredGene]]
    ) -> list[ScoredGene]:
        """The genes of a window (upper-case bases), each of them or the best of its ``others``; in the codec's order.

        A gene's place keeps the probability that the CRF gives to all its genes; of it each has the share that both
        together give it. While the genes of a place are judged, those of other places are the given ones; of two
        changes that do not go together the first is made.
        """
        plain = [gene for gene, _ in genes]
        rivals = [(number, rival) for number, gene in enumerate(plain) for rival in others.get(gene, ())]
        if not rivals:
            return list(genes)
        sites = self.grammar.sites(window)
        changed = [_with(plain, number, rival.gene) for number, rival in rivals]
        told = self.log_probabilities(window, sites, [plain, *changed])
        if told[0] == -np.inf:  # the grammar refuses the given genes: nothing to compare with
            return list(genes)
        at_place = [[(gene, 0.0)] for gene in genes]
        for (number, rival), log_probability in zip(rivals, told[1:], strict=True):
            if log_probability > -np.inf:
                at_place[number].append((rival, WRITER_WEIGHT * (log_probability - told[0])))
        chosen = list(map(_best, at_place))
        taken = list(plain)
        for number, one in enumerate(chosen):
            if one.gene != plain[number] and not written_steps(_with(taken, number, one.gene), sites, self.grammar)[2]:
                taken[number] = one.gene
        kept = [one if one.gene == gene else own for one, gene, own in zip(chosen, taken, genes, strict=True)]
        return sorted(kept, key=lambda one: gene_order_key(one.gene))

    @torch.inference_mode()
    def log_probabilities(
        self, window: str, sites: WindowSites, annotations: Sequence[Sequence[WindowGene]]
    ) -> np.ndarray:
        """What the writer gives to each annotation of a window; float64, -inf for one that breaks the grammar."""
        found = np.full(len(annotations), -np.inf)
        legal, completions = [], []
        for number, genes in enumerate(annotations):
            ids, steps, violations = written_steps(genes, sites, self.grammar)
            if violations:
                continue
            legal.append(number)
            choices = [taken for taken in steps if taken.is_choice]
            completions.append(Completion(ids.tolist(), [taken.place for taken in steps], list(genes), False, choices))
        if not legal:
            return found
        prompt = make_prompt(sites, window, self.clade, self.grammar.tokenizer)
        prompts = collate_prompts([prompt]).to(self.writer.device)
        scores = self.writer.score_apart(prompts, self.precision)
        read = self.writer.read_prompts_apart(prompts, scores)
        scored = score_choices(self.writer, pack(Rollout([], [completions], prompts, scores)), 1.0, read)
        total = scored.log_probability.new_zeros(len(legal), dtype=torch.float64)
        total.index_add_(0, scored.completion, scored.log_probability.double())
        found[legal] = total.cpu().numpy()
        return found


def _with(genes: Sequence[WindowGene], number: int, gene: WindowGene) -> list[WindowGene]:
    """The genes with another one in place of one of them, in the codec's order."""
    return sorted([*genes[:number], gene, *genes[number + 1 :]], key=gene_order_key)


def _best(candidates: Sequence[tuple[ScoredGene, float]]) -> ScoredGene:
    """The candidate with the highest sum of the CRF's log-probability and what the writer adds to it."""
    crf = np.array([gene.log_probability for gene, _ in candidates])
    both = crf + [added for _, added in candidates]
    best = int(both.argmax())
    log_share = both[best] - np.logaddexp.reduce(both)
    return ScoredGene(candidates[best][0].gene, float(np.logaddexp.reduce(crf) + log_share))
