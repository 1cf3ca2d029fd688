"""What a run will take, against numbers worked out by hand."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from approved import check_approved
from bake_toy_genome import write_toy_genome
from file_servers import Server

import plan
from genet5.bake.options import WindowSizes
from genet5.clades import read_clades
from genet5.errors import InputError
from genet5.plan import devices, genomes
from genet5.plan.costs import StageCost, networks, stage_costs
from genet5.plan.devices import Device, assumed, with_log
from genet5.plan.genomes import plan_genome, prompt_tokens, structure_tokens
from genet5.plan.text import model_gb, plan_text
from genet5.settings.sections import with_defaults
from genet5.species_table import Species
from genet5.writer.cost import flops_per_token

CLADES = read_clades()
KMER = {"kind": "kmer", "k": 6, "segment_bp": 96}
BAKE = {"max_windows": 20_000, "max_validation_windows": 1_000, "flank_bp": 1000}
FAR = Species("S.far", "fungi", 1, "train", "ftp://nowhere/f.fna.gz", "ftp://nowhere/f.gff.gz", genome_bp=1_500_000)


def planned(row: Species, folder: Path = Path("nowhere"), **bake: int):
    return plan_genome(row, CLADES[row.clade], WindowSizes(15_000, 7_500), BAKE | bake, KMER, "main", folder)


def test_windows_follow_from_the_bases_that_the_table_names() -> None:
    genome = planned(FAR)
    assert (genome.genome_bp, genome.known, genome.train, genome.validation, genome.test_bp) == (
        1_500_000, "the table", 200, 0, 0,
    )  # fmt: skip
    assert planned(FAR, max_windows=150).train == 150
    assert planned(FAR, max_windows=0).train == 200
    parts = replace(FAR, validation_regions="chr1:1-150000,chr2", test_regions="chr3:1-300000")
    genome = planned(parts, max_validation_windows=5)
    assert (genome.train, genome.validation, genome.test_bp) == (140, 5, 300_000)


def test_bases_that_no_file_tells_are_those_of_the_table() -> None:
    """1.5 Mb less what the regions name; of a test species none is for training."""
    of = genomes._bases_by_split
    assert of(replace(FAR, validation_regions="c1:1-200000"), {}, 1_500_000) == {
        "train": 1_300_000, "validation": 200_000, "test": 0,
    }  # fmt: skip
    assert of(replace(FAR, split="test"), {}, 1_500_000) == {"train": 0, "validation": 0, "test": 1_500_000}


def test_tokens_and_disk_by_hand() -> None:
    """15,000 bases: 2,500 6-mers, 156 mile-posts and the last one, 3 of the frame; sqrt(100 x 700) genes a megabase."""
    assert prompt_tokens(15_000, KMER) == 2500 + 156 + 1 + 3
    genes = math.sqrt(100 * 700) * 0.015
    assert structure_tokens(CLADES["fungi"], 15_000) == pytest.approx(genes * (2 + 5 * 5) + 1)
    genome = planned(FAR)
    assert genome.tokens == pytest.approx(2660 + genes * 27 + 1)
    assert genome.disk_gb == pytest.approx((1.5e6 * (1 + 1 / 3.3) + 200 * (15_000 + 2_000 + 3_000)) / 1e9)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("fna.fai", b"chrI\n", "line 1: no line of a FASTA index; delete it"),
        ("fna.fai", b"chrI\tmany\t6\t60\t61\n", "line 1: no line of a FASTA index"),
        ("fna.fai", b"\x8b\xff\t9\n", "line 1: no line of a FASTA index"),
        ("g.fa", b">\nACGT\n", "line 1: '>' without a sequence name"),
        ("g.fa", b">a" + b"b" * 2_000_000 + b"\nACGT\n", "line 1: over 1000000 bytes"),
    ],
)
def test_a_damaged_genome_or_index_is_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / "raw/S.far").mkdir(parents=True)
    path = tmp_path / name if name == "g.fa" else tmp_path / "raw/S.far" / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}, {said}"):
        planned(replace(FAR, genome=str(tmp_path / "g.fa")), tmp_path)


def test_a_genome_on_this_machine_is_read(tmp_path: Path) -> None:
    toy = write_toy_genome(tmp_path, {"chrI": 30_000, "chrII": 6_000})
    row = replace(FAR, genome=str(toy.fasta), genome_bp=0, test_regions="chrII")
    genome = planned(row)
    assert (genome.genome_bp, genome.known, genome.train, genome.test_bp) == (36_000, "its file", 4, 6_000)


def test_a_genome_in_genbank_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "g.gbk"
    bases = "".join(f"{at + 1:>9} {'acgtacgtac ' * 6}\n" for at in range(0, 6_000, 60))
    path.write_text(f"LOCUS       chrI  6000 bp    DNA     linear   UNK\nVERSION     chrI\nORIGIN\n{bases}//\n")
    genome = planned(replace(FAR, genome=str(path), genome_bp=0))
    assert (genome.genome_bp, genome.known) == (6_000, "its file")


def test_a_server_is_asked_where_the_table_says_nothing() -> None:
    with Server(b"x" * 1000) as server:
        genome = planned(replace(FAR, genome=server.url, genome_bp=0))
        assert (genome.genome_bp, genome.known) == (3300, "size of the download")
    genome = planned(replace(FAR, genome=server.url, genome_bp=0))
    assert genome.genome_bp is None and genome.known.startswith("unknown: no answer")
    assert (genome.train, genome.validation, genome.test_bp, genome.baked) == (0, 0, 0, False)
    assert (genome.tokens, genome.structure_tokens, genome.disk_gb) == (0, 0, 0)


@pytest.fixture(scope="module")
def config() -> dict:
    return with_defaults({"crf": {"size": "demo"}, "writer": {"size": "demo"}})


def test_steps_follow_from_windows_and_batches(config: dict) -> None:
    """200 + 800 windows, 4 epochs. The CRF takes 1 a step; the writer 1,024, which is all of an epoch."""
    genomes = [planned(FAR), planned(replace(FAR, species="S.other", genome_bp=6_000_000))]
    of = networks(config)
    crf, sft, grpo = stage_costs(config, genomes, of)
    assert (crf.steps, crf.windows, crf.windows_a_step) == (4000, 4000, 1)
    assert (sft.steps, sft.windows_a_step) == (4, 1000)
    assert sft.tokens == pytest.approx(4000 * genomes[0].tokens)
    assert crf.bases == pytest.approx(4000 * 15_000)
    assert crf.network_flops == pytest.approx(3 * of.crf_flops_per_base * crf.bases)
    assert grpo.windows == 1024 and grpo.steps == 32  # 1,000 prompts, 32 a step
    # The CRF reads 15,000 bases of each window before the writer: once, with no way back.
    assert sft.network_flops == pytest.approx(of.crf_flops_per_base * 15_000 * 4000)
    assert grpo.network_flops == pytest.approx(of.crf_flops_per_base * 15_000 * 1024)
    assert [cost.shared for cost in (crf, sft, grpo)] == [False, True, True]
    limited = stage_costs(config | {"sft": config["sft"] | {"max_steps": 3}}, genomes, of)
    assert limited[1].steps == 3 and limited[1].windows == 3 * 1024
    one_step = stage_costs(config | {"sft": config["sft"] | {"max_steps": 1}}, genomes, of)[1]
    assert (one_step.steps, one_step.windows, one_step.windows_a_step) == (1, 1024, 1024)
    alone = stage_costs(config | {"stages": ["crf"]}, genomes, of)
    assert [cost.name for cost in alone] == ["crf"]
    tested = stage_costs(config, [*genomes, planned(replace(FAR, split="test"))], of)
    assert [cost.name for cost in tested[3:]] == ["annotate (crf)", "annotate (sft)", "annotate (grpo)"]
    assert tested[3].bases == pytest.approx(1_500_000 * 8 / 7)
    tiles = 1_500_000 * 8 / 7 / 15_000
    batches = tiles / config["annotate"]["batch_size"]
    assert [cost.decoded for cost in tested[3:]] == [0.0, *[pytest.approx(batches * genomes[0].structure_tokens)] * 2]


def test_grpo_of_the_crf_reads_each_prompt_once_more_for_the_divergence(config: dict) -> None:
    """1,000 prompts in steps of windows_per_step; forward is one pass, the way back two."""
    genomes = [planned(FAR), planned(replace(FAR, species="S.other", genome_bp=6_000_000))]
    of = networks(config)

    def cost(**changes: float) -> StageCost:
        section = {**config["grpo_crf"], "epochs": 1, "max_steps": 0, **changes}
        changed = config | {"stages": ["crf", "grpo_crf"], "grpo_crf": section}
        return next(one for one in stage_costs(changed, genomes, of) if one.name == "grpo_crf")

    with_start, alone = cost(beta=0.1), cost(beta=0.0)
    assert with_start.steps == math.ceil(1000 / config["grpo_crf"]["windows_per_step"])
    assert with_start.bases == with_start.windows * 15_000 >= 1000 * 15_000
    assert alone.network_flops == pytest.approx(3 * of.crf_flops_per_base * alone.bases)
    assert with_start.network_flops == pytest.approx(4 * of.crf_flops_per_base * alone.bases)
    assert cost(max_steps=2).steps == 2


def test_grpo_of_the_writer_reads_once_more_for_the_divergence_however_small(config: dict) -> None:
    """A pass to sample, one for the divergence, and three (there and back) for each update."""
    genomes = [planned(FAR)]
    of = networks(config)

    def passes(**changes: float) -> float:
        cost = stage_costs(config | {"grpo": {**config["grpo"], **changes}}, genomes, of)[2]
        return cost.writer_flops / cost.tokens

    without, small, large = (passes(beta=beta, updates_per_rollout=1) for beta in (0.0, 0.01, 5.0))
    assert small == large and small / without == pytest.approx(5 / 4)
    assert passes(beta=0.0, updates_per_rollout=2) / without == pytest.approx(7 / 4)


def test_a_batch_has_one_window_at_least_however_few_tokens_it_may_have(config: dict) -> None:
    """200 windows, each alone in its batch: a step takes one of each of its batches, so an epoch takes two steps."""
    small = {name: {**config[name], "token_budget": 64} for name in ("sft", "grpo")}
    genomes = [planned(FAR)]
    sft, grpo = stage_costs(config | small, genomes, networks(config))[1:]
    assert config["sft"]["windows_per_step"] // config["sft"]["max_batch_size"] == 128
    assert (sft.steps, sft.windows, sft.windows_a_step) == (4 * 2, 800, 100)
    batches = config["grpo"]["windows_per_step"] // config["grpo"]["batch_size"]
    assert (grpo.steps, grpo.windows_a_step) == (math.ceil(200 / batches), batches)


def test_the_writer_reads_tiles_as_long_as_those_of_the_tested_genomes_on_average(config: dict) -> None:
    short, long = planned(replace(FAR, split="test")), planned(replace(FAR, species="S.other", split="test"))
    long = replace(long, tokens=3 * short.tokens, test_bp=3 * short.test_bp)
    of = networks(config)
    annotated = stage_costs(config, [planned(FAR), short, long], of)[4]
    mean = (short.tokens + 3 * long.tokens) / 4
    per_base = mean / short.window_bp
    assert annotated.name == "annotate (sft)"
    assert annotated.tokens == pytest.approx(per_base * 4 * short.test_bp * 8 / 7)
    assert annotated.writer_flops == pytest.approx(flops_per_token(of.writer, mean) / 3 * annotated.tokens)


def test_parameters_are_those_of_the_networks(config: dict) -> None:
    of = networks(config, vocabulary=4128)
    from genet5.writer.building import make_network

    model = make_network(of.writer, 0)
    assert of.crf_parameters == sum(p.numel() for p in model.crf.parameters())
    assert of.writer_parameters == sum(p.numel() for p in model.parameters()) - of.crf_parameters
    only_crf = config | {"stages": ["crf"]}
    assert model_gb(only_crf, of) == pytest.approx(of.crf_parameters * (12 * 2 + 3 * 4) / 1e9)


def test_hours_by_hand() -> None:
    """A million bases at 1 us, 2e15 operations at 1e12 a second, 3e15 at 2e12, 100 tokens of .1 s: 3,511 s."""
    device = Device("x", 1, 2e12, 1e12, 0.1, 1e-6, "")
    cost = StageCost("sft", 5, 10, 2, 1.0, 1e6, 2e15, 3e15, 100, shared=True)
    assert device.hours(cost) == pytest.approx(3511 / 3600)
    assert replace(device, nodes=2).hours(cost) == pytest.approx(3511 / 2 / 3600)
    annotating = replace(cost, shared=False)
    assert replace(device, nodes=2).hours(annotating) == pytest.approx(3511 / 3600)


def test_devices_that_are_not_here(tmp_path: Path) -> None:
    spark, two = assumed("Spark", 12, 1e-6), assumed("2 Sparks", 12, 1e-6)
    assert (spark.nodes, two.nodes, two.writer_flops) == (1, 2, spark.writer_flops)
    assert spark.writer_flops == 0.25 * 125e12
    with pytest.raises(InputError, match="--devices: A100 is unknown, allowed: this machine, and a number of H100"):
        assumed("A100", 12, 1e-6)
    log = tmp_path / "training_log.csv"
    log.write_text("step,tokens_per_s\n1,5\n2,100\n3,300\n4,200\n")
    assert with_log(two, log, 1e9).writer_flops == 300 * 1e9 / 2
    log.write_text("step\n1\n")
    with pytest.raises(InputError, match=r"training_log\.csv: not the training_log\.csv of a writer"):
        with_log(two, log, 1e9)
    log.write_text("step,tokens_per_s\n")
    with pytest.raises(InputError, match=r"training_log\.csv: has no steps yet"):
        with_log(two, log, 1e9)


def test_the_command_prints_the_plan_of_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "species.tsv"
    header = "species clade genetic_code split genome annotation genome_bp"
    rows = [
        "S.far fungi 1 train ftp://n/f.fna.gz ftp://n/f.gff.gz 1500000",
        "S.lost fungi 1 test ftp://n/l.fna.gz ftp://n/l.gff.gz -",
    ]
    sheet.write_text("\n".join(line.replace(" ", "\t") for line in [header, *rows]) + "\n")
    monkeypatch.setattr(plan, "measured", lambda *_: Device(devices.HERE, 1, 1e11, 1e11, 0.01, 1e-6, "measured"))
    (tmp_path / "mine.yaml").write_text("writer: {size: demo}\nrun: mine\n")
    plan.main(
        ["--configfile", str(tmp_path / "mine.yaml"), "--config", f"species_sheet={sheet}", "crf={size: demo}",
         "--devices", "2 Sparks", devices.HERE]
    )  # fmt: skip
    text = capsys.readouterr().out
    assert text.startswith("run mine: 2 species, stages crf, sft, grpo\n")
    assert "CRF, size demo: 1,578,298 parameters" in text
    assert re.search(r"\nhours +2 Sparks +this machine\ncrf ", text)
    assert "Not counted, since their size is unknown: S.lost. Give genome_bp in the table." in text
    for words, message in (
        (["--config", "crf"], "--config: 'crf' is not KEY=VALUE"),
        (["--log", "H200=x.csv"], "--log: H200 is not among --devices"),
        (["--config", f"species_sheet={sheet}", "spceies=a"], "config key spceies is unknown"),
    ):
        with pytest.raises(InputError, match=message):
            plan.main(words)


def test_the_plan_is_the_approved_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three species, all stages, two kinds of devices: every number of the text."""
    (tmp_path / "species.tsv").write_text(
        "species\tclade\tgenetic_code\tsplit\tgenome\tannotation\tgenome_bp\n"
        "S.far\tfungi\t1\ttrain\tftp://n/f.fna.gz\tftp://n/f.gff.gz\t12000000\n"
        "B.near\tbacteria\t11\ttrain\tftp://n/b.fna.gz\tftp://n/b.gff.gz\t4500000\n"
        "S.test\tfungi\t1\ttest\tftp://n/t.fna.gz\tftp://n/t.gff.gz\t9000000\n"
    )
    monkeypatch.chdir(tmp_path)
    here = Device(devices.HERE, 1, 1e11, 1e11, 0.01, 1e-6, "measured")
    monkeypatch.setattr(plan, "measured", lambda *_: here)
    words = ["species_sheet=species.tsv", "stages=[crf, grpo_crf, sft, grpo]", "crf={size: demo}"]
    plan.main(["--config", *words, "writer={size: demo}", "--devices", "2 Sparks", devices.HERE])
    check_approved(capsys.readouterr().out.splitlines(), Path(__file__).parent / "approved/plan.txt")


def test_the_text_says_what_is_baked_already(config: dict) -> None:
    genome = replace(planned(FAR), baked=True)
    of = networks(config)
    device = Device("x", 1, 1e12, 1e12, 0.1, 1e-6, "here")
    text = plan_text(config, [genome], of, stage_costs(config, [genome], of), [device])
    assert "the table, baked" in text and "are at most so many" not in text
    (row,) = [line for line in text.splitlines() if line.split()[:1] == ["sft"]][:1]
    tokens = 800 * genome.tokens / 1e6
    assert f" {tokens:,.1f} " in row, row
