"""What the report and the summary read: scores, logs, times, statistics, results of BUSCO."""

from __future__ import annotations

from pathlib import Path

import mutators
from reader import Reader, as_json

from genet5.evaluate.comparison import read_timing
from genet5.evaluate.summary import summary_table
from genet5.files import read_json
from genet5.report.completeness import busco_cards, read_busco
from genet5.report.datacard import data_card, read_data_card
from genet5.report.decoders import decoder_card, read_decoder_scores
from genet5.report.provenance import model_parameters, read_step_time, time_table
from genet5.report.results import read_log
from genet5.report.scoreboard import read_scoreboards
from genet5.training.csv_log import CsvLog

COUNTS = {"reference": 5, "predicted": 4, "right": 3, "found": 3, "fp": 1, "fn": 2, "ignored": 0}
LEVEL = COUNTS | {"precision": 0.75, "recall": 0.6, "f1": 0.67}
LEVELS = "nucleotide exon intron start stop transcript gene gene_single_exon gene_multi_exon".split()
SCORES = {
    "species": "s", "regions": [["c", 0, 100]], "genetic_code": 1, "isoforms": "canonical", "teacher": None,
    "reference": {"genes": 5}, "systems": {
        "genet5/crf": dict.fromkeys(LEVELS, LEVEL)
        | {"cpu_s": 1.0, "without_dont_care": dict.fromkeys(LEVELS, LEVEL), "bootstrap": {"f1": {"gene": [0.5, 0.8]}}}
    },
}  # fmt: skip
BUSCO = {"n": 10, "complete": 8, "single": 7, "duplicated": 1, "fragmented": 1, "missing": 1, "one_line": "C:80%",
         "markers": {"1at2": "single"}, "version": "5.4.4", "lineage": "mini_odb10"}  # fmt: skip
STATS = {"species": "s", "bases": 1000, "contigs": 1, "genes": {"total": 3, "trusted": 2, "flagged": 1},
         "splits": {"train": {"bases": 900, "genes": 2, "n_bases": 5, "windows": {"kept": 3, "kept_empty": 1,
                                                                                 "dropped": {"n": 1}}}},
         "flags": {"no_start": 1}, "annotation_counts": {"rows": 9}}  # fmt: skip
TIMES = "s\th:m:s\tmax_rss\tcpu_time\n1.5\t0:00:01\t10.0\t1.2\n"
DECODERS = {"scores": {"viterbi": {"s": {"exon_f1": 0.5, "gene_f1": 0.25}}}}


def report_readers(data: Path, folder: Path) -> dict[str, Reader]:
    log = b"step,loss,elapsed\n1,0.5,2\n2,0.25,4\n"
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    return {
        "json": Reader("stats.json", as_json({"genes": {"total": 3}, "bases": 1e6}), mutators.JSON, read_json),
        "log": Reader("log.csv", log, mutators.TEXT, read_log),
        "log that goes on": Reader("log.csv", log, mutators.TEXT, _continue_log),
        "scores": Reader("s.json", as_json(SCORES), mutators.JSON, lambda path: read_scoreboards([path])),
        "scores in a table": Reader("s.json", as_json(SCORES), mutators.JSON, lambda path: summary_table([path])),
        "busco": Reader("s.json", as_json(BUSCO), mutators.JSON, _read_busco),
        "busco in a table": Reader("s.json", as_json(BUSCO), mutators.JSON, lambda path: summary_table([], [path])),
        "data card": Reader(
            "stats.json", as_json(STATS), mutators.JSON, lambda path: data_card(read_data_card(path, {}, {}))
        ),
        "step time": Reader("s.tsv", TIMES.encode(), mutators.TEXT, lambda path: time_table([read_step_time(path)])),
        "time of an annotation": Reader(
            "s.json",
            as_json({"timing": {"wall_s": 3.0, "cpu_s": 2.0, "bases": 1000}}),
            mutators.JSON,
            lambda path: (time_table([read_step_time(path)]), read_timing(path)),
        ),
        "scores of decoders": Reader(
            "calibration.json", as_json(DECODERS), mutators.JSON, lambda path: decoder_card(read_decoder_scores(path))
        ),
        "number of weights": Reader(
            "model.safetensors",
            len(header).to_bytes(8, "little") + header + bytes(8),
            mutators.BYTES,
            lambda path: model_parameters(path),
        ),
    }  # fmt: skip


def _read_busco(path: Path) -> None:
    busco_cards([("s", "crf", read_busco(path))])


def _continue_log(path: Path) -> None:
    CsvLog(path).truncate(1)
