"""The clade that the DNA chooses: by shipped models, by tiny ones, in the files of an annotation, and all mistakes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from toy_bacterium import CRF_SHAPE, write_genome

import adapt
import annotate
import annotate_genome
import genet5
import join_annotation
from genet5.adapt.adaptation import Adaptation, load_adaptation
from genet5.adapt.relatives import Relatives
from genet5.adapt.sampling import SampledWindow
from genet5.annotate import choosing_clade as room
from genet5.annotate.choosing_clade import Evidence, choose, choose_if_asked, evidence_of_clades, ranked
from genet5.annotate.run import chosen_regions
from genet5.annotate.sampled_dna import sampled_regions
from genet5.clades import Clade, read_clades
from genet5.crf.config import crf_config
from genet5.crf.folder import save_crf
from genet5.crf.hexamer_loops import HEXAMERS
from genet5.crf.model import make_crf
from genet5.crf.window_decoder import WindowDecoder
from genet5.errors import InputError
from genet5.genome.fasta import Genome, open_genome, write_fasta
from genet5.genome.genes import Region

GENOME_BP = 40_000


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genome(tmp_path_factory.mktemp("genome") / "my.fa", length_bp=GENOME_BP, name="one")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clade]:
    """The shipped fungi, and a clade of the same rules whose tiny model learned nothing."""
    folder = tmp_path_factory.mktemp("untrained")
    save_crf(make_crf(crf_config("demo", CRF_SHAPE), seed=1), folder)
    fungi = dataclasses.replace(read_clades()["fungi"], subclades=())
    model = dataclasses.replace(fungi.model, folder=folder)
    return {"oomycete": dataclasses.replace(fungi, name="oomycete", model=model), "fungi": fungi}


def evidence(bits: float, certainty: float = 0.5, usual: bool = True) -> Evidence:
    return Evidence(1, bits, certainty, 100.0, usual)


def failure(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


# -------------------------------------------------------------------- choice


def test_a_trained_model_is_chosen_before_an_untrained_one(fasta: Path, tiny: dict[str, Clade]) -> None:
    with open_genome(fasta) as genome:
        found = choose(genome, chosen_regions(genome), tiny)
        again = choose(genome, chosen_regions(genome), tiny)
    assert found.clade == "fungi" and list(found.evidence) == ["fungi", "oomycete"]
    assert found.evidence["fungi"].saved_bits_per_kb > found.evidence["oomycete"].saved_bits_per_kb + 5
    assert found.bases == GENOME_BP and found.evidence == again.evidence


def test_models_choose_with_the_tables_that_they_annotate_with(
    fasta: Path, tiny: dict[str, Clade], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables that make every coding base dear leave no gene; the untrained model has none."""
    asked = []

    def dear(relatives: Relatives, decoder: WindowDecoder, windows: list[SampledWindow]) -> Adaptation:
        asked.append((len(relatives.names) > 9, sum(window.sites.window_bp for window in windows)))
        return Adaptation(np.full((4, HEXAMERS), -9, np.float32), Adaptation.neutral().sites, 1.0)

    monkeypatch.setattr(room, "typical_of_windows", dear)
    with open_genome(fasta) as genome:
        found = choose(genome, chosen_regions(genome), tiny).evidence
    assert asked == [(True, GENOME_BP)] and found["fungi"].genes_per_mb == 0 < found["oomycete"].genes_per_mb


def test_the_best_is_first_and_equals_are_told_apart_by_what_is_usual_then_by_certainty() -> None:
    assert list(ranked({"a": evidence(10), "b": evidence(20), "c": evidence(-3)})) == ["b", "a", "c"]
    assert list(ranked({"a": evidence(20), "b": evidence(19.99, 0.9)})) == ["b", "a"]
    assert list(ranked({"a": evidence(20), "b": evidence(19.9, 0.9)})) == ["a", "b"]
    assert list(ranked({"a": evidence(20, 0.9, usual=False), "b": evidence(19.99)})) == ["b", "a"]
    assert list(ranked({"a": evidence(-1, usual=False), "b": evidence(-9)})) == ["b", "a"]
    assert list(ranked({"b": evidence(20), "a": evidence(20)})) == ["a", "b"]
    within = {"a": evidence(20, 0.4), "b": evidence(19.75, 0.9), "c": evidence(19.6, 0.95)}
    assert list(ranked(within)) == ["a", "b", "c"] and list(ranked(within, 0.015)) == ["b", "a", "c"]


def test_a_general_clade_has_to_be_clearly_better() -> None:
    close, clear = {"any": evidence(20), "b": evidence(19.61)}, {"any": evidence(20), "b": evidence(19.57)}
    assert list(ranked(close, general={"any"})) == ["b", "any"] and list(ranked(close)) == ["any", "b"]
    assert list(ranked(clear, general={"any"})) == ["any", "b"]
    # Within a share that counts as equal, certainty decides as among others.
    assert list(ranked(clear | {"any": evidence(20, 0.1)}, 0.015, {"any"})) == ["b", "any"]
    assert [name for name, one in read_clades().items() if one.general] == ["eukaryote"]


def test_each_rule_of_the_order_decides_where_those_before_it_do_not() -> None:
    # Among those nearly as good as the best, bits decide last: after a usual number of genes, and after certainty.
    assert list(ranked({"a": evidence(19.99), "b": evidence(20)})) == ["b", "a"]
    # A usual number goes before certainty, whatever the bits.
    both = {"a": evidence(20, 0.9, usual=False), "b": evidence(19.985, 0.1), "c": evidence(19.99, 0.2, usual=False)}
    assert list(ranked(both)) == ["b", "a", "c"]
    # All others follow by bits alone, and by name.
    rest = {"a": evidence(20, 0.1, usual=False), "b": evidence(5, 0.9), "d": evidence(9), "c": evidence(9, 0.1, False)}
    assert list(ranked(rest)) == ["a", "c", "d", "b"]
    # Where the best one saves nothing, certainty still goes before bits.
    assert list(ranked({"a": evidence(-1, 0.2), "b": evidence(-9, 0.8)})) == ["b", "a"]


def test_clades_of_one_model_and_the_same_rules_are_read_once(
    fasta: Path, tiny: dict[str, Clade], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    inner = room._read
    monkeypatch.setattr(room, "_read", lambda *words: reads.append(words[0].name) or inner(*words))
    twins = {"fungi": tiny["fungi"], "moulds": dataclasses.replace(tiny["fungi"], name="moulds", genes_per_mb=(1, 2))}
    with open_genome(fasta) as genome:
        found = evidence_of_clades([genome.sequence("one")], twins, {"fungi": 1, "moulds": 1})
        general = {**twins, "fungi": dataclasses.replace(tiny["fungi"], general=True)}
        other = evidence_of_clades([genome.sequence("one")], general, {"fungi": 1, "moulds": 1})
    assert reads == ["fungi", "fungi"] and list(found) == ["fungi", "moulds"] and not found["moulds"].usual
    assert list(other) == ["moulds", "fungi"] and other == found
    assert found["fungi"].saved_bits_per_kb == found["moulds"].saved_bits_per_kb


def test_where_no_model_finds_genes_more_is_read(
    tmp_path: Path, tiny: dict[str, Clade], monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 kb show nothing, then 1 Mb decide; what shows something is read once, and a small genome, too."""
    write_fasta(tmp_path / "large.fa", [("one", "ACGT" * 600_000)])
    write_fasta(tmp_path / "small.fa", [("one", "ACGT" * 40_000)])
    read: list[tuple[int, int]] = []

    def choice(name: str, bits: list[float]) -> room.Choice:
        left = iter(bits)

        def found(windows: list[str], *rest: object) -> dict[str, Evidence]:
            read.append((len(windows), sum(map(len, windows))))
            return {"fungi": evidence(next(left))}

        monkeypatch.setattr(room, "evidence_of_clades", found)
        read.clear()
        with open_genome(tmp_path / name) as genome:
            return choose(genome, chosen_regions(genome), tiny)

    found = choice("large.fa", [0.0, 0.5])
    assert read == [(8, 200_000), (10, 1_000_000)] and (found.unsure, found.bases) == ("", 1_000_000)
    found = choice("large.fa", [0.0, 0.0])
    assert read == [(8, 200_000), (10, 1_000_000)] and "no model finds genes" in found.unsure
    found = choice("large.fa", [0.5])
    assert read == [(8, 200_000)] and (found.unsure, found.bases) == ("", 200_000)
    assert "no model finds genes" in choice("small.fa", [0.0]).unsure and read == [(1, 160_000)]


def test_a_short_genome_is_unsure_in_one_line(tmp_path: Path, tiny: dict[str, Clade]) -> None:
    path = write_genome(tmp_path / "short.fa", length_bp=3_000)
    with open_genome(path) as genome:
        found = choose(genome, chosen_regions(genome), tiny)
    assert "3000 known bases, at least 20000" in found.unsure
    assert sum("unsure" in line for line in found.lines()) == 1
    write_fasta(tmp_path / "n.fa", [("n", "N" * 500)])
    with open_genome(tmp_path / "n.fa") as genome:
        assert "0 known bases" in choose(genome, chosen_regions(genome), tiny).unsure


def test_a_named_clade_and_code_stay(fasta: Path, tiny: dict[str, Clade]) -> None:
    with open_genome(fasta) as genome:
        found = choose(genome, chosen_regions(genome), tiny, "oomycete", "auto")
        assert (found.clade, found.evidence, found.bases) == ("oomycete", {}, 0) and found.code_reason
        assert choose(genome, chosen_regions(genome), tiny, "oomycete", 12).genetic_code == 12
        assert choose(genome, chosen_regions(genome), tiny, "oomycete", None).genetic_code == 1


def test_a_named_clade_with_subclades_gives_way_to_the_one_that_explains_more(
    fasta: Path, tmp_path: Path, tiny: dict[str, Clade]
) -> None:
    clades = tiny | {"oomycete": dataclasses.replace(tiny["oomycete"], subclades=("fungi",))}
    best = {"oomycete": tiny["oomycete"], "fungi": dataclasses.replace(tiny["fungi"], subclades=("oomycete",))}
    with open_genome(fasta) as genome:
        regions = chosen_regions(genome)
        found = choose(genome, regions, clades, "oomycete", None)
        assert (found.clade, found.asked_clade, list(found.evidence)) == ("fungi", "oomycete", ["fungi", "oomycete"])
        assert found.lines()[0].startswith(f"clade: fungi, chosen within oomycete by {GENOME_BP} bases")
        assert choose_if_asked(genome, regions, clades, "oomycete", None, own_model=False).clade == "fungi"
        kept = choose(genome, regions, best, "fungi", None)
        assert kept.clade == "fungi" and list(kept.evidence) == ["fungi", "oomycete"]
        # A model of the user's own reads the clade that the user named.
        assert choose_if_asked(genome, regions, clades, "oomycete", None, own_model=True) is None
        assert choose(genome, regions, clades, "oomycete", "auto", own_model=True).evidence == {}
        # Nothing to choose.
        assert choose_if_asked(genome, regions, clades, "fungi", 1, own_model=False) is None
    # Too little DNA to say: the clade stays, in one line with the reason.
    with open_genome(write_genome(tmp_path / "short.fa", length_bp=3_000)) as genome:
        short = choose(genome, chosen_regions(genome), clades, "oomycete", None)
    assert short.clade == "oomycete" and "3000 known bases" in short.unsure


def test_among_subclades_more_bits_count_as_equal_than_among_all(
    fasta: Path, tiny: dict[str, Clade], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"oomycete": evidence(20, 0.4), "fungi": evidence(19.75, 0.9)}
    monkeypatch.setattr(room, "_read", lambda *words: [])
    monkeypatch.setattr(room, "_evidence", lambda windows, genes, clade, code: said[clade.name])
    clades = tiny | {"oomycete": dataclasses.replace(tiny["oomycete"], subclades=("fungi",))}
    with open_genome(fasta) as genome:
        assert choose(genome, chosen_regions(genome), clades, "oomycete", 1).clade == "fungi"
        assert choose(genome, chosen_regions(genome), clades, "auto", 1).clade == "oomycete"


def test_a_subclade_annotates_where_its_genes_explain_more(
    fasta: Path, tmp_path: Path, tiny: dict[str, Clade], capsys: pytest.CaptureFixture
) -> None:
    own = tmp_path / "clades"
    own.mkdir()
    text = tiny["fungi"].path.read_text().split("# Clades within")[0]
    untrained = tiny["oomycete"].model.folder
    (untrained / "none.json").write_text(tiny["fungi"].model.calibration.read_text())
    model = {"folder": str(untrained), "calibration": "none.json", "decoder": "viterbi", "window_bp": 9000,
             "overlap_bp": 1000}  # fmt: skip
    (own / "oomycete.yaml").write_text(f"{text}subclades: [plasmodium]\nmodel: {json.dumps(model)}\n")
    named, direct = ["--clade=oomycete", f"--clade-folder={own}"], ["--clade=plasmodium", "--genetic-code=1"]
    annotate.main([str(fasta), *named, "--genetic-code=1", "--track-loci=0", f"--output={tmp_path}"])
    summary = json.loads((tmp_path / "my.json").read_text())
    assert summary["options"]["clade"] == summary["chosen"]["clade"] == "plasmodium"
    assert summary["chosen"]["clade_asked"] == "oomycete" and "chosen within oomycete" in capsys.readouterr().out
    assert (tmp_path / "my.gff3").read_text().splitlines()[1] == "#!clade plasmodium"
    assert "plasmodium, chosen by the DNA" in (tmp_path / "my.html").read_text()
    genes = genet5.annotate(fasta, "plasmodium", genetic_code=1)
    assert genet5.annotate(fasta, "oomycete", clade_folder=own, genetic_code=1) == genes
    # Jobs that share a genome choose alike, and so does the adaptation that they share.
    adaptation = tmp_path / "my.adaptation.npz"
    adapt.main([f"--genome={fasta}", *named, f"--output={adaptation}"])
    assert load_adaptation(adaptation).about["clade"] == "plasmodium"
    for words in (named, direct):
        flags = [*words, f"--adaptation={adaptation}", "--track-loci=0", f"--output-prefix={tmp_path}/again"]
        annotate_genome.main([f"--genome={fasta}", *flags])
        assert json.loads((tmp_path / "again.json").read_text())["options"]["clade"] == "plasmodium"


def test_mistakes_are_one_line(fasta: Path, tiny: dict[str, Clade]) -> None:
    bare = {name: dataclasses.replace(one, model=None) for name, one in tiny.items()}
    own = f"--model={tiny['oomycete'].model.folder}"
    with open_genome(fasta) as genome:
        assert "no clade has a model" in failure(lambda: choose(genome, chosen_regions(genome), bare))
        starts = dataclasses.replace(tiny["fungi"].rules, starts=("GTG",))
        strange = {"fungi": dataclasses.replace(tiny["fungi"], rules=starts)}
        assert "rules.starts: GTG" in failure(lambda: choose(genome, chosen_regions(genome), strange, "auto", 6))
    assert "needs its --clade" in failure(lambda: annotate.main([str(fasta), "--clade=auto", own]))
    flags = [f"--genome={fasta}", "--clade=auto", "--output-prefix=x", own]
    assert "needs its --clade" in failure(lambda: annotate_genome.main(flags))
    assert "found 'six'" in failure(lambda: annotate.main([str(fasta), "--clade=auto", "--genetic-code=six"]))
    assert "name the clade" in failure(lambda: genet5.annotate(fasta, "auto", model=tiny["oomycete"].model.folder))


def test_no_clade_of_the_users_own_is_called_auto(tmp_path: Path, repository: Path) -> None:
    text = (repository / "resources/clades/bacteria.yaml").read_text()
    (tmp_path / "auto.yaml").write_text(text)
    assert "auto is no name for a clade" in failure(lambda: read_clades(tmp_path))


# -------------------------------------------------------------------- files


def test_a_clade_is_asked_for(fasta: Path, tmp_path: Path) -> None:
    found = failure(lambda: annotate.main([str(fasta), f"--output={tmp_path / 'out'}"]))
    assert (
        found == f"--clade is missing; clades with a model: {', '.join(read_clades())}; or auto, a guess from the DNA"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_files_and_page_name_what_was_chosen(fasta: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    annotate.main([str(fasta), "--clade=auto", f"--output={tmp_path}", "--track-loci=0"])
    chosen = json.loads((tmp_path / "my.json").read_text())["chosen"]
    with_model = {name for name, clade in read_clades().items() if clade.model}
    assert set(chosen["evidence"]) == with_model
    assert chosen["clade_asked"] == chosen["genetic_code_asked"] == "auto"
    assert chosen["bases_read"] == GENOME_BP and chosen["seconds"] > 0 and chosen["genetic_code_reason"]
    assert set(chosen["evidence"][chosen["clade"]]) == {
        "genetic_code", "saved_bits_per_kb", "certainty", "genes_per_mb", "usual"
    }  # fmt: skip
    log = capsys.readouterr().out
    assert f"clade: {chosen['clade']}, chosen by {GENOME_BP} bases" in log and "genetic code: " in log
    named = [line.split(":")[0].strip() for line in log.splitlines() if ": genes save" in line]
    assert named[0] == chosen["clade"] and set(named) == with_model and len(named) == len(with_model)
    header = (tmp_path / "my.gff3").read_text().splitlines()[1:3]
    assert header == [f"#!clade {chosen['clade']}", f"#!genetic-code {chosen['genetic_code']}"]
    page = (tmp_path / "my.html").read_text()
    assert f"{chosen['clade']}, chosen by the DNA" in page
    by_name = genet5.annotate(fasta, chosen["clade"], genetic_code=chosen["genetic_code"])
    assert genet5.annotate(fasta, "auto", genetic_code="auto") == by_name


@pytest.mark.slow
def test_parts_choose_alike_and_a_named_clade_is_no_choice_in_the_header(fasta: Path, tmp_path: Path) -> None:
    flags = [f"--genome={fasta}", "--clade=auto", "--genetic-code=auto", "--track-loci=0", "--batch-size=1"]
    annotate_genome.main([*flags, f"--output-prefix={tmp_path}/whole"])
    for part in ("1/2", "2/2"):
        annotate_genome.main([*flags, f"--output-prefix={tmp_path}/my", f"--part={part}"])
    parts = [f"{tmp_path}/my.part_{number}of2.npz" for number in (1, 2)]
    join_annotation.main(["--parts", *parts, f"--genome={fasta}", f"--output-prefix={tmp_path}/my"])
    assert (tmp_path / "my.gff3").read_bytes() == (tmp_path / "whole.gff3").read_bytes()
    whole, joined = (json.loads((tmp_path / f"{name}.json").read_text())["chosen"] for name in ("whole", "my"))
    assert {key: value for key, value in whole.items() if key != "seconds"} == joined
    annotate_genome.main([f"--genome={fasta}", "--clade=plant", "--track-loci=0", f"--output-prefix={tmp_path}/named"])
    named = (tmp_path / "named.gff3").read_text()
    assert "#!clade" not in named and "#!genetic-code" not in named
    assert "chosen" not in json.loads((tmp_path / "named.json").read_text())


# -------------------------------------------------------------------- sample


def test_a_small_genome_is_read_whole_and_a_large_one_in_even_pieces_with_few_n(tmp_path: Path) -> None:
    write_fasta(tmp_path / "g.fa", [("a", "ACGT" * 2_500), ("b", "ACGT" * 5_000 + "N" * 20_000), ("c", "AC" * 100)])
    with Genome(tmp_path / "g.fa") as genome:
        regions = chosen_regions(genome)
        assert sampled_regions(genome, regions, 60_000) == regions
        found = sampled_regions(genome, regions, 10_000, 1_000)
    assert found == sorted(found) and len(set(found)) == len(found)
    assert 9_000 <= sum(end - start for _, start, end in found) <= 10_000
    assert {seqid for seqid, _, _ in found} == {"a", "b"}
    # A piece beside is taken where it has fewer unknown bases.
    write_fasta(tmp_path / "n.fa", [("a", "ACGT" * 750 + "N" * 1_000 + "ACGT" * 1_250)])
    with Genome(tmp_path / "n.fa") as genome:
        (one,) = sampled_regions(genome, [Region("a", 0, 9_000)], 1_000, 1_000)
        two = sampled_regions(genome, [Region("a", 4_000, 9_000)], 2_000, 1_000)
    assert one == Region("a", 4_000, 5_000)
    assert two == [Region("a", 5_000, 6_000), Region("a", 7_000, 8_000)]
