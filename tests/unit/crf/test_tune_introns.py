"""The donors' bias that is best on validation DNA is written; of equals the smallest."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_bacterium import write_crf

import join_crfs
import tune_introns
from genet5.annotate.genomes import GenomeAnnotation
from genet5.crf.folder import load_crf
from genet5.errors import InputError
from genet5.genome.sites import DONOR_SITE


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    models = [str(write_crf(tmp_path / str(seed), seed)) for seed in (1, 2)]
    join_crfs.main([f"--output-dir={tmp_path / 'joined'}", "--models", *models])
    (tmp_path / "fna").write_text(">c\n" + "ACGT" * 100 + "\n")
    files = f"--model={tmp_path / 'joined'} --genome={tmp_path / 'fna'} --annotation={tmp_path / 'gff'} "
    how = "--regions=c:1-200 --genetic-code=1 --window-bp=300 --overlap-bp=60"
    return f"{files} --output-dir={tmp_path / 'tuned'} {how}".split()


@pytest.mark.parametrize(
    ("f1", "best"), [({0: 0.5, 1: 0.7, 2: 0.6, -1: 0.7}, 1), ({0: 0.7, 1: 0.7, 2: 0.1, -1: 0.2}, 0)]
)
def test_the_best_bias_is_added_to_the_donors_of_all_networks(arguments, tmp_path, monkeypatch, f1, best):
    before = load_crf(tmp_path / "joined")
    first = before.networks[0].site_bias[DONOR_SITE].item()
    seen = []

    def annotated(decoder, _rules, _genome, regions, *_options):
        assert [(region.start, region.end) for region in regions] == [(0, 200)]
        seen.append(round(decoder.crf.networks[0].site_bias[DONOR_SITE].item() - first))
        return GenomeAnnotation([])

    def compared(*_arguments, **_options):
        return {"systems": {"found": {"exon": {"f1": f1[seen[-1]]}}}}

    monkeypatch.setattr(tune_introns, "annotate_regions", annotated)
    monkeypatch.setattr(tune_introns, "compare", compared)
    tune_introns.main([*arguments, "--clade=fungi", "--biases", "2", "1", "0", "-1"])
    assert sorted(seen) == [-1, 0, 1, 2]
    after = load_crf(tmp_path / "tuned")
    for old, new in zip(before.networks, after.networks, strict=True):
        moved = (new.site_bias - old.site_bias).tolist()
        assert moved == pytest.approx([best if row == DONOR_SITE else 0.0 for row in range(4)], abs=1e-6)


def test_a_clade_without_introns_is_refused(arguments):
    with pytest.raises(InputError, match="--clade: bacteria has no introns"):
        tune_introns.main([*arguments, "--clade=bacteria", "--genetic-code=11"])
