"""From the files of a run to the page: read what was given, compare, write."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from genet5.clades import read_clades
from genet5.configuration import read_yaml
from genet5.errors import InputError
from genet5.files import atomic_write, file_sha256, read_json
from genet5.report.completeness import read_busco
from genet5.report.datacard import read_data_card
from genet5.report.decoders import read_decoder_scores
from genet5.report.genomes import Prediction, parse_reference, study_species
from genet5.report.page import Results, build_page
from genet5.report.provenance import model_parameters, read_step_time, versions
from genet5.report.results import Log, read_log, species_of, stage_of
from genet5.report.scoreboard import Scoreboard, read_scoreboards


def write_report(arguments: argparse.Namespace) -> None:
    """Write the page that the arguments of ``scripts/report.py`` ask for; InputError for files that cannot be used."""
    boards = read_scoreboards(arguments.scores)
    of_manifests = {key: _by_species(arguments.manifests, key) for key in ("clade", "simulated_from", "exon_flank_bp")}
    clades = of_manifests["clade"]
    teachers = {board.species: board.teacher for board in boards if board.teacher}
    results = Results(
        run=arguments.run,
        cards=[read_data_card(path, teachers, of_manifests) for path in arguments.stats],
        boards=boards,
        busco=[(species_of(path), stage_of(path), read_busco(path)) for path in arguments.busco],
        training=_logs(arguments.training_log),
        evaluation=_logs(arguments.eval_log),
        decoders=[score for path in arguments.calibrations for score in read_decoder_scores(path)],
        predictions=_predictions(arguments, boards, clades, teachers),
        times=[read_step_time(path) for path in arguments.times],
        config=_configuration(arguments.config),
        versions=versions(),
        checksums=_checksums([*arguments.model, *arguments.manifests]),
        parameters=model_parameters(arguments.model[-1]) if arguments.model else None,
    )
    page = build_page(results)
    with atomic_write(arguments.output) as stream:
        stream.write(page)
    alarms = sum(check.alarm is not None for one in results.predictions for check in one.checks)
    print(f"{arguments.output}: {len(page.encode()) / 1e6:.2f} MB, {len(boards)} score tables, {alarms} sanity alarms")


def _by_species(manifests: Sequence[str], key: str) -> dict[str, str]:
    """A parameter by species, of the manifests that have it."""
    found = {}
    for path in manifests:
        parameters = read_json(path).get("parameters")
        if isinstance(parameters, Mapping) and isinstance(parameters.get("species"), str) and key in parameters:
            found[parameters["species"]] = str(parameters[key])
    return found


def _logs(paths: Sequence[str]) -> list[Log]:
    # Logs lie beside the weights undeclared, so a run may have weights and no log (a model trained elsewhere).
    return [read_log(path) for path in paths if Path(path).exists()]


def _predictions(
    arguments: argparse.Namespace, boards: Sequence[Scoreboard], clades: Mapping[str, str], teachers: Mapping[str, str]
) -> list[Prediction]:
    references = {files.species: files for files in map(parse_reference, arguments.references)}
    given: dict[str, list[tuple[str, str]]] = {}
    for path in arguments.predictions:
        given.setdefault(species_of(path), []).append((stage_of(path), path))
    tracks = {(species_of(path), stage_of(path)): path for path in arguments.tracks}
    baselines = {species_of(path): path for path in arguments.orf_genes}
    predicted = {(species, stage) for species, pairs in given.items() for stage, _ in pairs}
    for place, path in [*tracks.items(), *(((species, None), path) for species, path in baselines.items())]:
        if place not in predicted and (place[1] is not None or place[0] not in given):
            raise InputError(
                f"{path}: --predictions has no file of this stage and species: {' '.join(filter(None, place[::-1]))}"
            )
    regions = {board.species: board.regions for board in boards}
    known = read_clades(arguments.clade_folder)
    studied = []
    for species, predictions in given.items():
        if species not in references:
            raise InputError(
                f"--references: none for {predictions[0][1]}; expected {species}=annotation=genome=code among them"
            )
        studied += study_species(
            references[species],
            [(stage, path, tracks.get((species, stage))) for stage, path in predictions],
            regions.get(species),
            known.get(clades.get(species, "")),
            baselines.get(species),
            teachers.get(species),
        )
    return studied


def _configuration(path: str | None) -> Mapping[str, object] | None:
    if path is None:
        return None
    if Path(path).suffix not in (".yaml", ".yml"):
        return read_json(path)
    document = read_yaml(path, "--config")
    if not isinstance(document, Mapping):
        raise InputError(f"{path}: holds a {type(document).__name__}, expected a mapping of keys")
    return document


def _checksums(paths: Sequence[str]) -> list[tuple[str, str]]:
    return [("/".join(Path(path).parts[-3:]), file_sha256(path)) for path in paths]
