"""What the experiments share: the workflow's scripts as steps, annotation by a CRF alone, and its scores."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import InputError  # noqa: E402
from genet5.evaluate.comparison import Prediction, compare  # noqa: E402
from genet5.genome.fasta import Genome  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402
from genet5.genome.splits import parse_regions  # noqa: E402

LEVELS = ("nucleotide", "exon", "intron", "stop", "gene")


def call(script: str | Path, *flags: str) -> None:
    """Run a script of the workflow, or one named by its path; what it prints goes to stderr.

    Raises:
        InputError: it failed.
    """
    command = [sys.executable, str(REPOSITORY / "scripts" / script), *flags]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        raise InputError(f"{script}: failed; its message stands above")


def train_crf(start: Path | None, validation: Path, output_dir: Path, manifests: list[Path], *options: str) -> None:
    """Train a CRF of size demo, a fresh one or that of the folder ``start``, with the schedule of all experiments.

    ``options`` are further flags and override it.
    """
    schedule = "--betas 0.9 0.98 --lr=3e-3 --min-lr-ratio=0.02 --max-grad-norm=5 --epochs=1000 --log-every=50".split()
    first = [f"--init-from={start}"] if start else []
    call("train_crf.py", "--size=demo", *first, f"--validation={validation}", f"--output-dir={output_dir}", *schedule,
         *options, "--manifests", *map(str, manifests))  # fmt: skip


def annotate(
    model: Path,
    genome: Path,
    clade: str,
    regions: str,
    prefix: Path,
    window_bp: int = 24000,
    overlap_bp: int = 8000,
    *flags: str,
) -> Path:
    """GFF3 that dynamic programming over the CRF finds (genetic code 1); a JSON file beside it tells the time.

    ``flags`` are further ones of annotate_genome.py and override these.
    """
    call("annotate_genome.py", f"--model={model}", f"--genome={genome}", f"--clade={clade}", "--genetic-code=1",
         f"--regions={regions}", "--decoder=viterbi", f"--window-bp={window_bp}", f"--overlap-bp={overlap_bp}",
         "--batch-size=4", f"--output-prefix={prefix}", *flags)  # fmt: skip
    return Path(f"{prefix}.gff3")


def f1_scores(annotations: Mapping[str, Path], raw: Path, regions: str) -> dict[str, list[float]]:
    """F1 at each of ``LEVELS`` of annotations by name. raw: folder with fna and gff.gz of the species."""
    predictions = [Prediction(name, path, None) for name, path in annotations.items()]
    with Genome(raw / "fna") as genome:
        document = compare(
            raw.name, raw / "gff.gz", genome, GeneticCode.from_table(1), predictions=predictions, baselines=[],
            regions=list(parse_regions(regions, genome.lengths)), bootstrap=0, seed=0,
        )  # fmt: skip
    return {name: [document["systems"][name][level]["f1"] for level in LEVELS] for name in annotations}
