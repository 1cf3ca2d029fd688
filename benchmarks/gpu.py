#!/usr/bin/env python
"""What a GPU reaches: MFU of supervised fine-tuning, GRPO steps beside TRL, annotation with a projection to 3.1 Gb.

MFU (model FLOPs utilisation) is the share of the device's dense bf16 peak that the model's own operations take:

    MFU = FLOPs per token * tokens per second / peak
    FLOPs per token = 3 * (2 * weights that a token meets + 4 * width * sum over layers of the tokens that it sees)

3 stands for a forward pass and a backward pass of twice its cost. ``genet5/writer/cost.py`` counts it: of experts, the
ones that read the token; not the CRF, the pointers and what is computed twice. A step is losses, gradients, clipping
and an update of AdamW on one batch of windows of 4,096 tokens. Reading shards is left out. The training log has the
same share (column ``mfu``).

With ``--device cpu`` the same code runs on small sizes, and every row says CPU. Weights are fresh unless ``--writer``
names a model: a fresh writer writes other genes than a trained one, and so takes another time. What was not measured
has a row with the reason.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

import torch  # noqa: E402
from annotation_speed import WHOLE, write_dna, write_random_dna  # noqa: E402
from planted_genes import planted_window  # noqa: E402
from speed_rows import SpeedRow, SpeedSettings, missing_peer_row, not_measured_row, rate_row  # noqa: E402
from speed_table import about_run, shown_command, speed_table  # noqa: E402
from trl_speed import GROUP_SIZE, compare_steps  # noqa: E402

from genet5.annotate.api import Annotator, load  # noqa: E402
from genet5.annotate.models import Model, load_annotator  # noqa: E402
from genet5.annotate.options import AnnotateOptions  # noqa: E402
from genet5.clades import read_clades  # noqa: E402
from genet5.device import add_device_argument, chosen_device  # noqa: E402
from genet5.errors import InputError, run_command  # noqa: E402
from genet5.genome.fasta import Genome, open_genome  # noqa: E402
from genet5.tokens.grammars import Grammars  # noqa: E402
from genet5.tokens.tokenizer import GeneTokenizer  # noqa: E402
from genet5.training.logs import PEAK_FLOPS, peak_flops  # noqa: E402
from genet5.training.optimizer import build_optimizer  # noqa: E402
from genet5.training.precision import chosen_precision, network_precision  # noqa: E402
from genet5.writer.batch import Batch, collate, make_example  # noqa: E402
from genet5.writer.building import new_model, resize_model  # noqa: E402
from genet5.writer.cost import flops_per_token  # noqa: E402
from genet5.writer.network import GeneT5Model  # noqa: E402
from genet5.writer.options import SIZES, SftOptions  # noqa: E402

KMER, SEGMENT_BP = 6, 96
SFT_CLADE, CLADE, CODE = "bacteria", "protist", 11
HUMAN_GB = 3.1
PARTS = ("sft", "grpo", "annotate")
#: What this benchmark never measures.
LEFT_OUT = {
    "training on several devices": "one process and one device; docs/hardware.md says what has run where",
    "TRL with vLLM": "grpo_vs_trl.py lets neither side generate with another program",
}


@dataclass(frozen=True)
class Sizes:
    """size: of the networks. tokens: of a window. rows: windows of a step. steps: measured ones, after one that is not.
    grpo_tokens, grpo_size: of prompts and of the network there. dna_bp: that is annotated, None: all there is.
    """

    size: str
    tokens: int
    rows: int
    steps: int
    grpo_tokens: int
    grpo_size: str
    dna_bp: int | None


GPU = Sizes("base", 4096, 8, 20, 4096, "small", None)
CPU = Sizes("demo", 256, 1, 3, 256, "demo", 100_000)
QUICK_DNA_BP, WRITER_DNA_BP = 50_000, 200_000


@dataclass(frozen=True)
class Run:
    """What all parts need. device: as torch names it. label: of the device, in each row. peak: FLOP/s or None."""

    sizes: Sizes
    device: str
    label: str
    peak: float | None
    writer: Path | None
    settings: SpeedSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_device_argument(parser)
    parser.add_argument("--quick", action="store_true", help="fewer steps and less DNA: it ends within a minute")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts (default: all)")
    parser.add_argument("--peak-tflops", type=float, help=f"dense bf16 peak (known: {', '.join(PEAK_FLOPS)})")
    parser.add_argument("--size", choices=SIZES, help="of the writer (default: base, on a CPU demo)")
    parser.add_argument("--tokens", type=int, help="of a window (default: 4096, on a CPU 256)")
    parser.add_argument("--rows", type=int, help="windows of a step of fine-tuning (default: 8, on a CPU 1)")
    parser.add_argument(
        "--writer", type=Path, metavar="FOLDER", help=f"a trained writer of clade {CLADE} to annotate with"
    )
    arguments = parser.parse_args()
    for flag, value in (("peak-tflops", arguments.peak_tflops), ("rows", arguments.rows)):
        if value is not None and value <= 0:
            raise InputError(f"--{flag}: {value:g}, must be over 0")
    if arguments.tokens is not None and arguments.tokens < 64:
        raise InputError(f"--tokens: {arguments.tokens}, must be at least 64")
    device = chosen_device(arguments.device)
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"
    peak = arguments.peak_tflops * 1e12 if arguments.peak_tflops else peak_flops(name)
    load_average, parts = os.getloadavg()[0], {"sft": sft_rows, "grpo": grpo_rows, "annotate": annotation_rows}
    rows: dict[str, list[SpeedRow]] = {}
    with tempfile.TemporaryDirectory() as work:
        data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
        settings = SpeedSettings(arguments.quick, None, data, 1, Path(work))
        run = Run(chosen_sizes(arguments, device), device, name, peak, arguments.writer, settings)
        for part in arguments.only:
            rows[f"{part} ({name})"] = list(rows_of(part, parts[part], run))
    rows["left out"] = [not_measured_row(what, why) for what, why in LEFT_OUT.items()]
    print(about_run(shown_command("benchmarks/gpu.py", sys.argv[1:]), None, load_average))
    print(speed_table(rows))
    ratios = [row.ratio for found in rows.values() for row in found if row.ratio is not None]
    if not ratios:
        print("bar: grpo_vs_trl not measured")
        return
    print(f"bar: grpo_vs_trl {ratios[0]:.2f} times-as-fast target 1.0")
    sys.exit(ratios[0] < 1)


def chosen_sizes(arguments: argparse.Namespace, device: str) -> Sizes:
    """The sizes of the device, with what the user sets."""
    usual = GPU if device == "cuda" else CPU
    return Sizes(
        arguments.size or usual.size,
        arguments.tokens or usual.tokens,
        arguments.rows or usual.rows,
        3 if arguments.quick else usual.steps,
        usual.grpo_tokens,
        usual.grpo_size,
        QUICK_DNA_BP if arguments.quick and device == "cpu" else usual.dna_bp,
    )


def rows_of(part: str, measure: Callable[[Run], Iterator[SpeedRow]], run: Run) -> Iterator[SpeedRow]:
    """Rows of a part, or one with the reason why there are none."""
    try:
        yield from measure(run)
    except InputError as error:
        yield not_measured_row(part, str(error))
    except torch.OutOfMemoryError:
        yield not_measured_row(part, f"out of memory on {run.label}; fewer --rows, or fewer --tokens")


# ---------------------------------------------------------------- fine-tuning


def mfu(tokens_per_s: float, operations_per_token: float, peak: float) -> float:
    """Model FLOPs utilisation, 0 to 1. operations_per_token: forward and backward. peak: FLOP/s of the device."""
    return tokens_per_s * operations_per_token / peak


def sft_rows(run: Run) -> Iterator[SpeedRow]:
    """Tokens per second of fine-tuning, operations per second, and MFU where the peak is known."""
    sizes = run.sizes
    model, batch = sft_batch(sizes)
    model, batch = model.to(run.device).train(), batch.to(run.device)
    tokens = int(batch.prompts.prompt_lengths.sum() + batch.sequences.lengths.sum())
    per_row = tokens / sizes.rows
    options = SftOptions()
    optimizer = build_optimizer(model, options)

    def step() -> None:
        optimizer.zero_grad()
        with network_precision("auto", torch.device(run.device)):
            losses = model.training_losses(batch)
        (losses["sum"] / losses["weight"]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.max_grad_norm)
        optimizer.step()

    seconds = [seconds_of(step, run.device) for _ in range(1 + sizes.steps)]
    tokens_per_s, per_token = tokens / statistics.median(seconds[1:]), flops_per_token(model.config, per_row)
    what = f"SFT {sizes.size}, {sizes.rows} window(s) of {per_row:,.0f} tokens, {chosen_precision('auto', run.device)}"
    yield SpeedRow(what, "tokens per s", tokens_per_s)
    yield SpeedRow(what, "TFLOP per s", tokens_per_s * per_token / 1e12, note=f"{per_token / 1e6:,.1f} MFLOP a token")
    if run.peak is None:
        yield not_measured_row(f"MFU of {what}", f"the peak of {run.label} is unknown, --peak-tflops names it", "share")
    else:
        found = mfu(tokens_per_s, per_token, run.peak)
        yield SpeedRow(f"MFU of {what}", "share", found, note=f"of a peak of {run.peak / 1e12:g} TFLOPS")
    if run.device == "cuda":
        yield SpeedRow(what, "GB at most", torch.cuda.max_memory_allocated() / 1e9)


def sft_batch(sizes: Sizes) -> tuple[GeneT5Model, Batch]:
    """A fresh writer, and one batch of windows with planted genes whose rows have about ``sizes.tokens`` tokens.

    A row is a prompt and the structure tokens of its genes; about one token of forty is one of these.
    """
    window_bp = max(1, round(0.97 * (sizes.tokens - 3) / (1 / KMER + 1 / SEGMENT_BP) / SEGMENT_BP)) * SEGMENT_BP
    tokenizer = GeneTokenizer.build("kmer", KMER, segment_bp=SEGMENT_BP, max_window_bp=window_bp)
    grammar = Grammars(tokenizer, read_clades()).of(SFT_CLADE, CODE)
    windows = [planted_window(window_bp, SFT_CLADE, seed) for seed in range(sizes.rows)]
    batch = collate([make_example(window.bases, SFT_CLADE, window.genes, grammar) for window in windows])
    return fresh_writer(sizes.size, tokenizer), batch


def fresh_writer(size: str, tokenizer: GeneTokenizer) -> GeneT5Model:
    """A writer around the shipped CRF of the clade that is annotated."""
    crf = load(CLADE, device="cpu").model.crf
    return resize_model(new_model(size, tokenizer, crf, 0), tokenizer)


# ---------------------------------------------------------------- reinforcement learning


def grpo_rows(run: Run) -> Iterator[SpeedRow]:
    """Steps per second beside TRL, on the device."""
    tokens = run.sizes.grpo_tokens
    what = f"GRPO {run.sizes.grpo_size}, prompt of {tokens:,} tokens, group of {GROUP_SIZE}"
    if importlib.util.find_spec("trl") is None:
        yield missing_peer_row(what, "steps per s", "TRL", "pip install trl")
        return
    precision = chosen_precision("auto", run.device) if run.device == "cuda" else "fp32"
    found, _ = compare_steps(
        REPOSITORY,
        tokens,
        run.settings,
        "--device",
        run.device,
        "--precision",
        precision,
        "--size",
        run.sizes.grpo_size,
    )
    rates = {side: 1 / row["step_s"] for side, row in found.items()}
    yield rate_row(what, "steps per s", rates["ours"], rates["TRL"], peer_name="TRL", note=precision)


# ---------------------------------------------------------------- annotation


def annotation_rows(run: Run) -> Iterator[SpeedRow]:
    """Mb per second of the CRF and of a writer, files not written, and hours for a genome of 3.1 Gb."""
    fasta, told = annotated_dna(run)
    crf = load(CLADE, device="gpu" if run.device == "cuda" else "cpu")
    yield from rate_rows("CRF", crf, AnnotateOptions(decoder="viterbi"), fasta, run.sizes.dna_bp, told, run)
    writer, about = writer_of(run)
    options = AnnotateOptions(decoder="lm", window_bp=writer.model.longest_window_bp)
    most = min(run.sizes.dna_bp or WRITER_DNA_BP, WRITER_DNA_BP)
    yield from rate_rows(f"writer, {about}", writer, options, fasta, most, told, run)
    if run.writer is None:
        yield not_measured_row("a trained writer", "--writer names none")


def annotated_dna(run: Run) -> tuple[Path, str]:
    """FASTA file, and what it is: the reference data's, or random DNA where they are missing."""
    dna = WHOLE["P. falciparum 1, 2"]
    if (run.settings.data / dna.folder / "fna.gz").is_file():
        return write_dna(dna, run.settings), "P. falciparum"
    fasta = run.settings.work / "random.fa"
    write_random_dna(fasta, run.sizes.dna_bp or 2_000_000)
    return fasta, "random DNA (GENET5_DATA names no reference data)"


def writer_of(run: Run) -> tuple[Annotator, str]:
    """The user's writer, or a fresh one, on the device; and what it is."""
    clades = read_clades()
    if run.writer is not None:
        model, about = load_annotator(run.writer), f"{run.writer}"
        if not model.has_writer:
            raise InputError(f"--writer: {run.writer}: a CRF without a language model")
    else:
        tokenizer = GeneTokenizer.build("kmer", KMER, segment_bp=SEGMENT_BP, max_window_bp=clades[CLADE].window_bp)
        network = fresh_writer(run.sizes.size, tokenizer).eval()
        model, about = Model(network.crf, network, tokenizer), f"{run.sizes.size}, fresh weights"
    return Annotator(model.on("gpu" if run.device == "cuda" else "cpu"), clades[CLADE], clades, False), about


def rate_rows(
    what: str, annotator: Annotator, options: AnnotateOptions, fasta: Path, most_bp: int | None, told: str, run: Run
) -> Iterator[SpeedRow]:
    """Two rows. A short stretch is annotated before, which compiles and is not counted."""
    with open_genome(fasta) as genome:
        warm, regions = stretches(genome, 20_000), stretches(genome, most_bp)
        annotator.annotate(genome, regions=warm, options=options)
        bases: list[int] = []
        seconds = seconds_of(
            lambda: bases.append(annotator.annotate(genome, regions=regions, options=options).summary["bases"]),
            run.device,
        )
    rate = bases[0] / seconds / 1e6
    yield SpeedRow(f"annotation, {what}", "Mb per s", rate, note=f"{bases[0] / 1e6:.2f} Mb of {told}")
    hours = HUMAN_GB * 1000 / rate / 3600
    yield SpeedRow(f"annotation, {what}", f"hours for {HUMAN_GB} Gb", hours, note="projected from the row above")


def stretches(genome: Genome, most_bp: int | None) -> str:
    """Regions for annotation: the beginning of the first contig, or everything where ``most_bp`` is None."""
    if most_bp is None:
        return ""
    name = genome.names[0]
    return f"{name}:1-{min(most_bp, genome.lengths[name])}"


def seconds_of(work: Callable[[], object], device: str) -> float:
    """Seconds on the clock, with what the device had to finish before and after."""
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    run_command(main)
