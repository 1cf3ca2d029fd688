"""What a user writes or brings: configurations, the species table, clades, AUGUSTUS's parameters, BUSCO's lineages."""

from __future__ import annotations

import itertools
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import mutators
from augustus_folder import MadeParameters
from busco_lineage import lineage_folder
from reader import Reader

from genet5.clades import read_clades
from genet5.clades.clade import read_clade
from genet5.configuration import read_yaml
from genet5.evaluate.lineages import prepare_lineage
from genet5.files import resource
from genet5.settings.checks import check_config
from genet5.settings.sections import with_defaults
from genet5.sources.augustus_parameters import read_parameters
from genet5.sources.lineages import read_list
from genet5.species_table import read_species_table
from genet5.studies.cpivae.settings import read_settings

TABLE = "species\tclade\tgenetic_code\tsplit\tgenome\tannotation\nS.test\tfungi\t1\ttrain\tg.fa\ta.gff\n"
LINEAGES = f"fungi_odb12\t2026-05-22\t{'0a' * 16}\tfungi\tlineages\nplaces\t2026-05-22\t{'0b' * 16}\tany\tplacement\n"
STUDY = "model: {model_type: JointVQ, latent_dim: 16}\ntraining: {max_epochs: 3, learning_rate: 1.0e-3}\n"


def settings_readers(data: Path, folder: Path) -> dict[str, Reader]:
    clade = (resource("clades") / "vertebrate.yaml").read_bytes().partition(b"\nmodel:")[0] + b"\n"
    text = b"run: a\nsft: {epochs: 3, lr: 1.0e-4}\nstages: [crf, sft]\n"
    return {
        "species table": Reader(
            "species.tsv", TABLE.encode(), mutators.TEXT, lambda path: read_species_table(path, "data", ["fungi"])
        ),
        "clade": Reader("oomycete.yaml", clade, mutators.YAML, _read_clade),
        "configuration": Reader("config.yaml", text, mutators.YAML, _read_configuration),
        "settings of cpivae": Reader("settings.yaml", STUDY.encode(), mutators.YAML, read_settings),
        "list of lineages": Reader(
            "file_versions.tsv", LINEAGES.encode(), mutators.TEXT, lambda path: read_list(path, path.name)
        ),
        "lineage": Reader("mini_odb10.tar", _lineage(folder), mutators.TEXT, _read_lineage),
        **_augustus(folder / "augustus"),
    }


def _read_clade(path: Path) -> None:
    found = read_clade(path)
    rules = found.gene_rules(found.genetic_code)
    assert 0 < rules.least_intron_bp <= rules.max_intron_bp and rules.starts, "rules"


def _read_configuration(path: Path) -> None:
    content = read_yaml(path, "--configfile")
    if isinstance(content, dict):  # Snakemake refuses others
        check_config(with_defaults(content), read_clades())


def _lineage(folder: Path) -> bytes:
    lineage = lineage_folder(folder)
    path = folder / "lineage.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(lineage, lineage.name)
    return path.read_bytes()


def _read_lineage(path: Path) -> None:
    # A damaged tar may hold a folder of any name, so each has a place of its own.
    for version in ("5.4.4", "6.1.0"):
        work = path.parent / version
        found = prepare_lineage(path, work, version)
        assert found.markers > 0 and found.path.is_relative_to(work), "a lineage beyond its folder"
    assert {one.name for one in path.parent.iterdir()} == {path.name, "5.4.4", "6.1.0"}, "files beyond the folder"


def _augustus(folder: Path) -> dict[str, Reader]:
    """The four files of a species."""
    sound = MadeParameters(order=1, max_bp=60, exons=(31, 50)).write(folder)
    numbers = itertools.count()

    def reads(name: str) -> Callable[[Path], None]:
        def read(path: Path) -> None:
            species = path.parent / str(next(numbers)) / "species" / "made"
            shutil.copytree(sound, species)
            shutil.copy(path, species / name)
            found = read_parameters(species.parents[1], "made")
            assert abs(sum(found.stops.values()) - 1) < 1e-6 and found.mean_intron_bp > 0, "no probabilities"
            assert all(abs(float(one.exon.sum(axis=-1).mean()) - 1) < 1e-6 for one in found.classes), "no shares"

        return read

    return {
        f"augustus {path.name.removeprefix('toy_')}": Reader(
            path.name, path.read_bytes(), mutators.TEXT, reads(path.name)
        )
        for path in sorted(sound.iterdir())
    }
