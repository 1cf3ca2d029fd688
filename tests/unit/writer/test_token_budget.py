"""A batch keeps its token budget whatever the tokenizer, and the logs count the tokens that were really read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bake_toy_genome import write_toy_genome
from grpo_toy import SAMPLING
from model_toy import toy_model
from toy_bacterium import WINDOW_BP, ToyRun, chromosome, write_run

from genet5.bake.crops import Window, crop, random_crop, random_place
from genet5.bake.manifest import shard_paths
from genet5.bake.samples import Sample, SampleGene
from genet5.bake.shards import ShardReader, ShardSet, write_shard
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.windows import WindowRules
from genet5.clades import Clade, read_clades
from genet5.genome.fasta import decompress_genome
from genet5.genome.genes import Interval
from genet5.genome.genetic_code import reverse_complement
from genet5.grpo.policy import pack
from genet5.grpo.rollouts import roll_out
from genet5.grpo.training import PromptData
from genet5.tokens.dna import train_bpe
from genet5.tokens.grammars import Grammars
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.training.sampler import BatchPlan
from genet5.writer.batch import Batch
from genet5.writer.building import save_model
from genet5.writer.options import SftOptions
from genet5.writer.sft import run_sft
from genet5.writer.token_counts import FRAME_TOKENS, DnaRate, TokenCounts, longest_sequence
from genet5.writer.windows import MEASURED_CROPS, WindowData

SEGMENT_BP = 60
KINDS = ("char", "kmer", "bpe", "vq")
REPEAT = chromosome()[:50]


@pytest.fixture(scope="module")
def clades() -> dict[str, Clade]:
    return read_clades()


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, GeneTokenizer]:
    table = tmp_path_factory.mktemp("vq") / "codes.json"
    codes = [code % 50 for code in range(4**4)]
    table.write_text(json.dumps({"format_version": 1, "k": 4, "size": 50, "codes": codes}))
    bases: dict = {"char": None, "kmer": None, "bpe": train_bpe([chromosome()[:60_000]], 300), "vq": table}
    lengths = {"segment_bp": SEGMENT_BP, "max_window_bp": WINDOW_BP}
    return {kind: GeneTokenizer.build(kind, base=bases[kind], **lengths) for kind in KINDS}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return write_run(tmp_path_factory.mktemp("toy") / "run", eval_samples=3)


@pytest.fixture(scope="module")
def shards(run: ToyRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShardSet]:
    """Windows of a bacterium, and shorter ones with dense genes of one to three exons."""
    folder = tmp_path_factory.mktemp("spliced")
    toy = write_toy_genome(folder, {"one": 30_000}, spacing_bp=400)
    source = SpeciesSource("T.splicus", toy.fasta, toy.gff, 1, "fungi", "train")
    spliced = bake_species(source, WindowRules(1507, 700, flank_bp=500), 100, folder / "baked")
    with ShardSet([*shard_paths(run.manifest, "train"), *shard_paths(spliced, "train")]) as opened:
        yield opened


def padded_tokens(batch: Batch) -> int:
    """Tokens that the network computes for a batch: its prompts, then its structure sequences."""
    return batch.prompts.ids.numel() + batch.sequences.ids.numel()


def real_tokens(batch: Batch) -> int:
    return int(batch.prompts.prompt_lengths.sum() + batch.sequences.lengths.sum())


# ---------------------------------------------------------------- plans


@pytest.mark.parametrize("kind", KINDS)
def test_planned_lengths_are_those_of_real_batches(
    kind: str, shards: ShardSet, tokenizers: dict[str, GeneTokenizer], clades: dict[str, Clade]
) -> None:
    data = WindowData(shards, Grammars(tokenizers[kind], clades))
    budget = 4 * int(data.lengths[0].sum()) + 99
    plan = BatchPlan(data.lengths, budget, 99, seed=2)
    ratios, used = [], []
    for position, indices in enumerate(plan.batches(0)):
        batch = data.training_batch(indices, 0, np.random.default_rng(position))
        prompts, sequences = batch.prompts.prompt_lengths.numpy(), batch.sequences.lengths.numpy()
        assert (sequences <= data.sequence_tokens[indices]).all()
        if kind == "bpe":
            assert (prompts <= data.prompt_tokens[indices]).all()
        else:
            assert prompts.tolist() == data.prompt_tokens[indices].tolist()
        ratios.append(prompts.sum() / data.prompt_tokens[indices].sum())
        used.append(padded_tokens(batch) / budget)
    assert np.mean(ratios) > 0.93
    assert max(used) <= 1 and np.median(used) > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_the_budget_of_fixed_windows_is_counted(
    kind: str, run: ToyRun, tokenizers: dict[str, GeneTokenizer], clades: dict[str, Clade]
) -> None:
    grammars = Grammars(tokenizers[kind], clades)
    with ShardReader(run.baked / "validation.tar") as held_out:
        data = WindowData(held_out, grammars, random_crops=False)
        everything = np.arange(len(held_out))
        batch = data.validation_batch(everything, 0, np.random.default_rng(0))
        assert batch.prompts.prompt_lengths.tolist() == data.prompt_tokens.tolist()
        assert len(set(data.prompt_tokens.tolist())) == (len(everything) if kind == "bpe" else 1)
        slack = data.sequence_tokens - batch.sequences.lengths.numpy()
        cut = [held_out.meta(index)["num_partial"] for index in everything]
        assert (slack >= 0).all() and (slack <= 2 * np.array(cut)).all()


@pytest.mark.parametrize("kind", ["kmer", "bpe"])
def test_the_budget_of_grpo_holds_for_the_longest_completions_on_either_strand(
    kind: str, run: ToyRun, tokenizers: dict[str, GeneTokenizer], clades: dict[str, Clade]
) -> None:
    tokenizer = tokenizers[kind]
    with ShardReader(run.baked / "validation.tar") as prompts:
        data = PromptData(prompts, Grammars(tokenizer, clades))
        indices = np.arange(3)
        seen = [
            [len(tokenizer.prompt_ids(window.bases, window.clade).ids) for window in data.prompts(indices, 0, rng)]
            for rng in map(np.random.default_rng, range(8))
        ]
        assert np.max(seen, axis=0).tolist() == data.prompt_tokens[:3].tolist()
        assert (np.min(seen, axis=0) < np.max(seen, axis=0)).any() == (kind == "bpe")
        planned = data.group_tokens(4, 30)
        assert (planned - data.prompt_tokens == 120).all()
        # An untrained model writes until it is cut.
        windows = data.prompts(indices, 0, np.random.default_rng(1))
        rollout = roll_out(toy_model(3, tokenizer), data.grammars, windows, 4, SAMPLING, 30, (0, 0, 0))
        assert any(one.truncated for group in rollout.completions for one in group)
        batch = pack(rollout).batch
        assert padded_tokens(batch) <= 3 * planned[:3].max()
        # Equal completions of a prompt are one object, and take their tokens once.
        distinct = {id(one): one for group in rollout.completions for one in group}
        sampled = sum(len(one.ids) for one in distinct.values())
        assert data.counts.batch(batch) == int(rollout.prompts.prompt_lengths.sum()) + sampled


def test_the_plan_depends_on_windows_and_tokenizer_alone(
    run: ToyRun, shards: ShardSet, tokenizers: dict[str, GeneTokenizer], clades: dict[str, Clade]
) -> None:
    """As on another process, or after a resume: a budget that one process reads otherwise would end in a deadlock."""
    first = WindowData(shards, Grammars(tokenizers["bpe"], clades))
    np.random.seed(5)
    first.training_batch(np.array([3, 1]), 0, np.random.default_rng(8))
    with ShardSet([reader.path for reader in shards.readers]) as again:
        second = WindowData(again, Grammars(tokenizers["bpe"], clades))
        assert second.sequence_tokens.tolist() == first.sequence_tokens.tolist()
        assert second.lengths.tolist() == first.lengths.tolist()
    of_one_species = WindowData(ShardSet(shard_paths(run.manifest, "train")), Grammars(tokenizers["bpe"], clades))
    assert of_one_species.lengths.tolist() == first.lengths[: len(of_one_species.lengths)].tolist()


def test_genes_beside_a_window_take_nothing_of_its_budget() -> None:
    """A crop of 100 bases anywhere in 50 to 200 of a sample."""
    one = SampleGene("g", "+", (Interval(110, 120), Interval(130, 140)), (0, 1))

    def tokens(offset: int, *more: SampleGene) -> int:
        return longest_sequence([one.shifted(offset), *more], 50, 200, 100)

    assert tokens(0) == 1 + 2 + 2 * 5
    assert tokens(20) == tokens(-20) == tokens(0) + 3, "an edge may cut it"
    assert tokens(70) == tokens(-75) == tokens(0) + 3 - 5, "one segment lies beside all crops"
    assert tokens(90) == tokens(-90) == 1
    assert tokens(0, one) == 2 * tokens(0) - 1
    assert tokens(-90, one._replace(complete5=False)) == tokens(0) + 3


def test_a_budget_rate_covers_what_was_measured_at_every_length() -> None:
    rng = np.random.default_rng(3)
    window_bp = rng.integers(1, 4000, 300)
    tokens = np.maximum(1, rng.binomial(window_bp, 0.22))
    rate = DnaRate.measured(tokens.tolist(), window_bp.tolist())
    planned = rate.tokens(window_bp)
    assert (planned >= tokens).all() and (planned <= window_bp).all()
    long = rate.tokens(np.array([15_000]))[0]
    assert 1 < long / (0.22 * 15_000) < 1.05, "what short windows scatter is not planned for long ones"


# ---------------------------------------------------------------- windows that no measurement saw


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShardReader]:
    """More windows than are measured, all alike and easily spelt but for one, which no measurement meets."""
    rng = np.random.default_rng(0)
    measured = set(np.linspace(0, 399, MEASURED_CROPS).round().astype(int).tolist())
    odd = next(index for index in range(200, 400) if index not in measured)
    text = REPEAT * 28
    meta = {
        "species": "T.oyus", "clade": "bacteria", "genetic_code": 11, "split": "train", "seqid": "chr", "start": 0,
        "end": 1200, "flank5": 100, "flank3": 100, "num_genes": 0, "num_partial": 0, "num_introns": 0, "coding_bp": 0,
    }  # fmt: skip
    random = "".join(rng.choice(list("ACGT"), 1400))
    samples = [Sample(f"{i:04d}", (random if i == odd else text).encode(), (), (), meta) for i in range(400)]
    path = tmp_path_factory.mktemp("uneven") / "train_000.tar"
    write_shard(path, (sample.to_members() for sample in samples), "train")
    with ShardReader(path) as opened:
        opened.odd = odd
        yield opened


def test_a_crop_over_its_share_of_the_budget_is_cut_at_a_mile_post(
    uneven: ShardReader, clades: dict[str, Clade]
) -> None:
    base = train_bpe([REPEAT * 9, reverse_complement(REPEAT * 9)], 300)
    tokenizer = GeneTokenizer.build("bpe", base=base, segment_bp=SEGMENT_BP, max_window_bp=WINDOW_BP)
    data = WindowData(uneven, Grammars(tokenizer, clades))
    planned, sample = int(data.prompt_tokens[uneven.odd]), uneven.read(uneven.odd)
    strands = set()
    for seed in range(12):
        whole = crop(sample, *(place := random_place(sample, np.random.default_rng(seed)))).bases
        strands.add(place.reverse)
        assert len(tokenizer.prompt_ids(whole, "bacteria").ids) > 1.2 * planned
        batch = data.training_batch(np.array([uneven.odd]), 0, np.random.default_rng(seed))
        length = int(batch.prompts.lengths[0])
        kept = "".join("ACGTN"[code] for code in batch.prompts.codes[0, 0].tolist())
        assert kept == whole[:length] and length % SEGMENT_BP == 0
        assert int(batch.prompts.prompt_lengths[0]) <= planned
        longer = tokenizer.prompt_ids(whole[: length + SEGMENT_BP], "bacteria").ids
        assert len(longer) > planned, "as much as fits is kept"
    assert strands == {False, True}
    like_the_others = data.training_batch(np.array([1, 2]), 0, np.random.default_rng(0))
    assert like_the_others.prompts.lengths.tolist() == [1200, 1200]


def test_a_window_of_one_segment_stays_whole_whatever_its_budget(clades: dict[str, Clade]) -> None:
    tokenizer = GeneTokenizer.build("char", segment_bp=SEGMENT_BP, max_window_bp=WINDOW_BP)
    data = WindowData(ShardSet([]), Grammars(tokenizer, clades))
    for length, tokens, kept in ((45, 9, 45), (150, 9, 60), (150, 125, 60), (150, 126, 120)):
        prompt = data.example(Window("ACG" * (length // 3), [], [], "bacteria", 11)).prompt
        assert data.counts.fitting_bp(prompt, tokens) == kept
    assert len(tokenizer.prompt_ids("ACG" * 40, "bacteria").ids) == 126


# ---------------------------------------------------------------- one place for what a model adds


def test_tokens_that_a_model_adds_are_in_every_budget_and_count(
    shards: ShardSet, tokenizers: dict[str, GeneTokenizer], clades: dict[str, Clade]
) -> None:
    for kind in ("kmer", "bpe"):
        grammars = Grammars(tokenizers[kind], clades)
        for cropped in (True, False):
            plain, more = (WindowData(shards, grammars, cropped, added) for added in (0, 7))
            assert (more.lengths - plain.lengths).tolist() == [[7, 0]] * len(shards)
        indices = np.array([0, 5, 9])
        batch = more.validation_batch(indices, 0, np.random.default_rng(0))
        assert more.counts.batch(batch) == real_tokens(batch) + 21 == plain.counts.batch(batch) + 21
        counts, window = TokenCounts(tokenizers[kind], 7), more.example(Window("ACGT" * 90, [], [], "fungi", 1))
        assert counts.prompt(window.prompt) == counts.bases("ACGT" * 90) == len(window.prompt.ids) + 7
        dna = len(window.prompt.ids) - FRAME_TOKENS - 7
        assert counts.prompts(dna, 360) == counts.prompt(window.prompt)


# ---------------------------------------------------------------- logs


@pytest.mark.parametrize(("workers", "latents"), [(0, 5), (1, 0)])
def test_the_log_counts_the_tokens_of_the_batches_not_their_budget(
    workers: int,
    latents: int,
    run: ToyRun,
    tokenizers: dict[str, GeneTokenizer],
    clades: dict[str, Clade],
    tmp_path: Path,
) -> None:
    tokenizer = tokenizers["bpe"]
    save_model(toy_model(1, tokenizer, num_latents=latents), tokenizer, tmp_path / "model")
    options = SftOptions(
        max_steps=4, save_steps=3, log_every=100, eval_steps=100, max_batch_size=3, windows_per_step=6,
        early_stopping=0, memwatch=0, num_workers=workers,
    )  # fmt: skip
    held_out = run.baked / "validation.tar"
    run_sft(tmp_path / "model", [run.manifest], held_out, run.baked / "eval.json", clades, options, tmp_path / "sft")
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        data = WindowData(shards, Grammars(tokenizer, clades), added_tokens=latents)
        plan = BatchPlan(data.lengths, options.token_budget, 3, options.seed, long_alone=True)
        read = [
            real_tokens(data.training_batch(indices, 0, np.random.default_rng([options.seed, 0, position])))
            + len(indices) * latents
            for position, indices in enumerate(plan.batches(0, 2)[:6])
        ]
        state = json.loads((tmp_path / "sft/checkpoint_step_3/state.json").read_text())
        assert state["tokens"] == sum(read) < sum(map(plan.tokens, plan.batches(0, 2)[:6]))


# ---------------------------------------------------------------- the real tokenizer on a real genome


def test_the_budget_of_15_kb_windows_with_the_tokenizer_of_dnabert_2(
    shared_data: Path, clades: dict[str, Clade], tmp_path: Path
) -> None:
    """63,700 tokens are 18 or 19 windows of S. cerevisiae; a plan by bases would allow 4."""
    decompress_genome(shared_data / "S.cerevisiae/fna.gz", tmp_path / "fna")
    annotation = shared_data / "S.cerevisiae/gff.gz"
    source = SpeciesSource("S.cerevisiae", tmp_path / "fna", annotation, 1, "fungi", "train")
    manifest = bake_species(source, WindowRules(15_000, 7_500, flank_bp=1000), 5000, tmp_path / "baked")
    base = shared_data / "tokenizer/DNABERT-2/tokenizer.json"
    tokenizer = GeneTokenizer.build("bpe", base=base, segment_bp=96, max_window_bp=15_000)
    with ShardSet(shard_paths(manifest, "train")) as shards:
        data = WindowData(shards, Grammars(tokenizer, clades))
        plan = BatchPlan(data.lengths, 63_700, 32, seed=1, long_alone=True)
        batches = plan.batches(0)
        assert 18 <= np.median([len(batch) for batch in batches]) <= 20
        over, taken = 0, []
        for position, indices in enumerate(batches):
            rng = np.random.default_rng(position)
            crops = (random_crop(shards.read(int(index)), rng) for index in indices)
            tokens = [data.counts.bases(window.bases) for window in crops]
            over += sum(count > data.prompt_tokens[index] for count, index in zip(tokens, indices, strict=True))
            taken.append(np.mean(tokens))
        assert over / len(shards) < 0.01, "hardly a crop is cut"
        assert 3200 < np.mean(taken) < 3400
        for position in (0, 7, 30):
            batch = data.training_batch(batches[position], 0, np.random.default_rng(position))
            assert 0.8 * 63_700 < padded_tokens(batch) <= 63_700
