"""``docs/formats.md``, written from the descriptions that stand beside each writer.

``python -m genet5.settings.formats_page docs/formats.md`` (with ``scripts`` on the path) writes it; a test compares it
with the page, and the writers' output with the descriptions.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from genet5.bake import manifest, samples, stats, validation
from genet5.evaluate.busco import RESULT_FIELDS
from genet5.evaluate.summary import SPECIES_FIELDS, SUMMARY_FIELDS
from genet5.files import atomic_write
from genet5.grpo.prompts import PROMPT_FIELDS


def formats_page() -> str:
    """The text of ``docs/formats.md``."""
    parts = [
        _INTRODUCTION,
        "## Samples\n",
        _SAMPLES.format(min_visible_bp=samples.MIN_VISIBLE_BP),
        '`{key}.genes.json` is `{"genes": [...], "dont_care": [[start, end, strand], ...]}`. A gene has:\n',
        _table(samples.GENE_FIELDS),
        "`{key}.json` has:\n",
        _table(samples.META_FIELDS | samples.SIMULATED_META_FIELDS),
        _CROPS.format(min_visible_bp=samples.MIN_VISIBLE_BP),
        "## Windows\n",
        _WINDOWS,
        "## manifest.json\n",
        _MANIFEST,
        _table(manifest.MANIFEST_FIELDS),
        "## stats.json\n",
        _table(stats.STATS_FIELDS),
        "Each split has:\n",
        _table(stats.SPLIT_FIELDS),
        "## gene_index.json\n",
        "Gene id -> entry for every trusted gene, one a line.\n",
        _table(stats.GENE_INDEX_FIELDS),
        "## validation.tar, eval.json, bake_config.json\n",
        _VALIDATION,
        "`eval.json` has:\n",
        _table(validation.EVAL_FIELDS),
        "`bake_config.json` has:\n",
        _table(validation.BAKE_CONFIG_FIELDS),
        "## grpo_prompts.tar, grpo_prompts.json\n",
        _PROMPTS,
        _table(PROMPT_FIELDS),
        "## data/busco/{run}/{stage}/{species}.json\n",
        _BUSCO,
        _table(RESULT_FIELDS),
        "## summary.tsv, summary.parquet, species.tsv, species.parquet\n",
        _SUMMARY,
        "`summary` has one row per species, system and level:\n",
        _table(SUMMARY_FIELDS),
        "`species` has one row per species of the table:\n",
        _table(SPECIES_FIELDS),
        "## The GFF3 of predicted genes\n",
        _GFF3,
    ]
    return "\n".join(parts)


def write_formats(path: Path) -> None:
    """Write the page to ``path``."""
    with atomic_write(path) as stream:
        stream.write(formats_page())


def _table(fields: Mapping[str, str]) -> str:
    rows = [f"| `{name}` | {text} |" for name, text in fields.items()]
    return "\n".join(["| field | meaning |", "| --- | --- |", *rows, ""])


_INTRODUCTION = """\
# File formats

<!-- Written by genet5.settings.formats_page from the writers' own descriptions: change those, not this page. -->

    data/baked/{run}/{species}/train_000.tar ...        training windows
    data/baked/{run}/{species}/validation_000.tar ...   validation windows, if the species has some
    data/baked/{run}/{species}/stats.json               what was met, kept and dropped
    data/baked/{run}/{species}/gene_index.json          where each gene went
    data/baked/{run}/{species}/manifest.json            written last: where it stands, the rest is whole
    data/baked/{run}/validation.tar                     validation windows of all species
    data/baked/{run}/eval.json                          the samples of it that are scored while training
    data/baked/{run}/bake_config.json                   what was baked, of every species
    data/score/{run}/summary.{tsv,parquet}              all scores of a run
    data/score/{run}/species.{tsv,parquet}              its species
    data/annotation/{run}/{stage}/{species}.gff3        predicted genes

Baked data come first. In these files coordinates are 0-based and half-open, on the forward strand. The stop codon is
part of the CDS. All of them depend on their input alone (no time, host or path): baking again gives the same bytes. A
`.idx` file beside a tar is a cache of member offsets that readers make; it may be deleted. Training shards may be moved
away, to be streamed (`docs/guide.md`): the manifest then says what each of them has to be.
"""

_SAMPLES = """\
A shard is an uncompressed WebDataset tar (USTAR, time 0, owner 0, mode 644) and does not depend on a tokenizer. A
sample is three files that share a key, in this order: `{{key}}.dna`, `{{key}}.genes.json`, `{{key}}.json`. The key
is contig number, contig name, start and end of the core window, so keys are unique in a species and sort along the
genome.

`{{key}}.dna` holds the bases of the core window with a flank on either side, in the case of the genome (lower =
soft-masked). Flanks end at the contig's end and at the boundary of the split. Positions in `.genes.json` count from
the first base of `.dna`.

Genes are the canonical transcripts of trusted genes that touch the sample. Don't-care spans (strand `+`, `-` or `.`
for both) are neither learnt nor scored: flagged genes, pseudogenes, transposon genes, and genes that a split's
boundary cuts.
"""

_CROPS = """\
Training crops a sample (`genet5.bake.samples.window_genes`). Genes inside the crop are whole. A gene that the crop
cuts is written as far as it shows, marked partial at the ends where coding bases are lost, with the phase of its
5'-most visible segment. That holds for a cut in an intron too: the gene then ends at the splice site. A cut gene
that shows fewer than {min_visible_bp} coding bases becomes don't-care instead, and one that shows only intron
leaves nothing.
"""

_WINDOWS = """\
Each region of the training and validation splits is cut into windows of `window_bp` every `stride_bp`; the last one
is moved back to end with the region, and a shorter region is one window. A trusted gene that fits but that the grid
cuts everywhere gets a window moved to hold it. So every gene that fits is whole in at least one window; a longer
one is only ever partial. Windows of more than half N are dropped; a gene that would be lost with them gets a
narrower window, a quarter of its length beyond either end. Of the windows without a gene as many are kept as
`empty_share` allows. Test regions have no windows: they are annotated from the genome.

Which windows are kept is drawn from a hash of seed, contig, start and end, so the draw is the same on every
machine.
"""

_MANIFEST = """\
What later rules depend on. Keys are sorted, there is no date and no path, and it stays below 1 MB.
"""

_VALIDATION = """\
`validation.tar` holds the validation samples of every species, in the order of their names; keys have the species'
name before them. Scored samples are drawn by a seed, species in turn, at first only windows that do not overlap.
"""
_PROMPTS = """\
The training windows that reinforcement learning samples genes for, chosen as the scored ones are; keys have the
species' name before them. `grpo_prompts.json` has:
"""
_BUSCO = """\
Not baked, but counted at the end: conserved genes among the proteins that a stage predicts. The stage `reference`
stands for the published proteins of the same DNA, and `genome` for the DNA itself. The file has:
"""

_SUMMARY = """\
The scores of `data/score/{run}/{stage}/{species}.json` and of `data/busco/{run}/{stage}/{species}.json`, with the same
numbers, and `stats.json`. Tab-separated text and Apache Parquet hold the same table; pandas reads both
(`pandas.read_parquet`). Levels, precision and recall are those of `docs/glossary.md`.
"""

_GFF3 = """\
Rows of four types, each gene with its rows together: gene, mRNA, exon, CDS. Coordinates are 1-based and closed. GeneT5
models coding sequence alone, no UTRs and no non-coding genes. So an exon row has the place of its CDS row: it is the
coding part of the exon. The stop codon is part of the CDS.

| row | attributes |
| --- | --- |
| gene | `ID={contig}.g00001`, `gene_biotype=protein_coding`; column 6 is the score |
| mRNA | `ID={gene}.t1`, `Parent={gene}`; column 6 is the score; with evidence also the three below |
| exon | `ID={mRNA}.exon1` and so on from the 5' end, `Parent={mRNA}` |
| CDS | `ID={mRNA}.cds` for all its rows, `Parent={mRNA}`; column 8 is the phase |

A gene that the end of a contig or region cuts has `partial=true` with `start_range=.,FIRST` or `end_range=LAST,.`

With RNA-seq or proteins an mRNA row also has:

| attribute | meaning |
| --- | --- |
| `hints_supported` | hints that agree with it: its introns, its start, its stop, coding parts in its frame |
| `hints_contradicted` | hinted introns of its strand that cut its coding exons; a tenth of a rival's counts, at least |
| `support` | `full`: each intron is hinted, or of one exon start and stop; `partial`: some hint agrees; `none` |

`{prefix}.json` then has `evidence`: hints `read`, `matched` and `refused` (by reason), the `files` with their formats,
the first refused ones (`listed`), `notes`, hinted `introns` (confirmed, missed, contradicted) and `transcripts` by
support. `{prefix}.tracks.npz` has `locus_{i}_hints`, int64 [N, 4]: start, end (0-based, half-open), 1 on the reverse
strand, counts.
"""


if __name__ == "__main__":
    write_formats(Path(sys.argv[1]))
