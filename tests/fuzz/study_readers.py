"""Files of the studies: tables of platforms and labels, binding windows and corpora, codes and networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mutators
import numpy as np
import torch
from reader import Reader, as_json, beside
from vq_toy import SMALL

from genet5.studies.cpivae.assay_tables import read_protein_list
from genet5.studies.cpivae.olink import read_olink
from genet5.studies.cpivae.somascan import read_somascan
from genet5.studies.cpivae.tables import read_labels, read_table
from genet5.studies.dna_llm.binding_windows import BindingWindows, load_windows, read_windows, save_windows
from genet5.studies.dna_llm.corpus import Corpus as LetterCorpus
from genet5.studies.dna_llm.gpt import Gpt, GptConfig, load_gpt, save_gpt
from genet5.studies.dna_llm.predictors import CnnBaseline, load_predictor, save_predictor
from genet5.studies.dna_llm.results import read_result, write_predictions
from genet5.studies.vq_transformer.codec import CodedDna, load_coded, save_coded
from genet5.studies.vq_transformer.corpus import Corpus, read_dna
from genet5.studies.vq_transformer.network import VqTransformer, load_network, save_network
from genet5.tokens.vq import read_vq_codes

TABLE = b"SampleID,p1,p2,p3\ns1,0.5,1.5,2\ns2,,0.25,3\ns3,1e-3,4,5\n"
LABELS = b'SampleID,subtype\ns1,LumA\ns2,Basal\ns3,"Her2, like"\n'
LONG_OLINK = (
    b"SampleID;SampleType;OlinkID;UniProt;Assay;NPX;LOD;QC_Warning\n"
    b"s1;SAMPLE;OID1;P1;A1;1.5;0.5;PASS\ns1;SAMPLE;OID2;P2;A2;2.5;0.5;WARN\n"
    b"s2;SAMPLE;OID1;P1;A1;0.2;0.5;PASS\ns2;SAMPLE;OID2;P2;A2;3.5;0.5;PASS\nc1;CONTROL;OID1;P1;A1;1;0.5;PASS\n"
)
ADAT = (
    b"^HEADER\n!Version\t1.2\n^COL_DATA\n!Name\tSeqId\tUniProt\n^ROW_DATA\n!Name\tSampleId\tSampleType\n"
    b"^TABLE_BEGIN\n\t\tSeqId\t10000-28\t10001-7\n\t\tUniProt\tP1\tP2\n\t\tOrganism\tHuman\tHuman\n"
    b"SampleId\tSampleType\t\t\t\ns1\tSample\t\t500.5\t30\ns2\tSample\t\t400\t31.5\nb1\tBuffer\t\t1\t2\n"
)
PROTEINS = b"uniprot_id\tolink_id\tsomascan_id\nP1\tOID1\tseq.10000.28\nP2\tOID2\tseq.10001.7\n"


def study_readers(data: Path, folder: Path) -> dict[str, Reader]:
    return {**_cpivae(), **_dna_llm(folder / "dna_llm"), **_vq_transformer(folder / "vq")}


def _cpivae() -> dict[str, Reader]:
    return {
        "cpivae table": Reader("a.csv", TABLE, mutators.TEXT, _read_table),
        "cpivae labels": Reader("labels.csv", LABELS, mutators.TEXT, read_labels),
        "cpivae olink": Reader("olink.csv", LONG_OLINK, mutators.TEXT, partial(_read_assays, read_olink, (True, True))),
        "cpivae somascan": Reader("a.adat", ADAT, mutators.TEXT, partial(_read_assays, read_somascan, (True, "rfu"))),
        "cpivae proteins": Reader("p.tsv", PROTEINS, mutators.TEXT, read_protein_list),
    }


def _read_table(path: Path) -> None:
    found = read_table(path)
    assert found.values.shape == (len(found.samples), len(found.features)) and found.samples, "another shape"
    assert len(set(found.samples)) == len(found.samples) and not np.isinf(found.values).any(), "samples"


def _read_assays(read: Callable[..., Any], how: tuple, path: Path) -> None:
    found = read(path, *how).table
    assert found.values.shape == (len(found.samples), len(found.features)), "another shape"
    assert len(set(found.samples)) == len(found.samples) and not np.isinf(found.values).any(), "samples"


def _dna_llm(folder: Path) -> dict[str, Reader]:
    folder.mkdir()
    letters = np.random.default_rng(1).integers(0, 4, (6, 12)).astype(np.uint8)
    scores = (letters == 2).astype(np.float32)
    starts = np.arange(6, dtype=np.int64) * 100
    splits = np.array(["train", "validation", "test"], dtype="<U10")[np.arange(6) % 3]
    windows = BindingWindows(letters, scores, np.full(6, "chr22"), starts, splits)
    save_windows(windows, {}, folder / "windows.npz", folder / "split.json")
    names = [f"chr22_{start}_{start + 12}" for start in starts]
    rows = [f"{windows.sequence(row).decode()}\t{name}" for row, name in enumerate(names)]
    sequences = ("sequence\twindow_name\n" + "\n".join(rows) + "\n").encode()
    columns = ("\t".join(names) + "\n" + "\n".join("\t".join(map(str, row)) for row in scores.T) + "\n").encode()
    result = folder / "result"
    held_out = {split: windows.part(split).scores for split in ("validation", "test")}
    write_predictions(held_out, {"name": "cnn", "test": {"pearson": 0.5}}, result)
    corpus, gpt, predictor = (folder / name for name in ("corpus", "gpt", "predictor"))
    for made in (corpus, gpt, predictor):
        made.mkdir()
    (corpus / "train.bin").write_bytes(bytes(letters.reshape(-1)))
    np.save(corpus / "train_stretches.npy", np.array([40, 72]))
    (corpus / "meta.json").write_bytes(as_json({"alphabet": "vocab4"}))
    save_gpt(Gpt(GptConfig(layers=1, width=16, heads=2, context=16)), gpt)
    save_predictor(CnnBaseline(0.1, False), predictor)

    def read_pair(path: Path) -> None:
        for name, sound in (("sequences.txt", sequences), ("scores.txt", columns)):
            if name != path.name:
                (path.parent / name).write_bytes(sound)
        found = read_windows(path.parent / "sequences.txt", path.parent / "scores.txt")
        assert found.bases.shape == found.scores.shape and found.bases.max() <= 3, "bases"

    def read_windows_again(path: Path) -> None:
        found = load_windows(path)
        for split in set(found.splits.tolist()):
            assert len(found.part(split).bases), "a part"

    return {
        "binding sequences": Reader("sequences.txt", sequences, mutators.TEXT, read_pair),
        "binding scores": Reader("scores.txt", columns, mutators.TEXT, read_pair),
        "binding windows": Reader(
            "windows.npz", (folder / "windows.npz").read_bytes(), mutators.ARRAYS, read_windows_again
        ),
        "predictions of scores": Reader(
            "predictions.npz",
            (result / "predictions.npz").read_bytes(),
            mutators.ARRAYS,
            partial(beside, result, lambda at: read_result(at, windows)),
        ),
        "corpus of a gpt": Reader(
            "meta.json", (corpus / "meta.json").read_bytes(), mutators.JSON, partial(beside, corpus, _read_corpus)
        ),
        "stretches of a corpus": Reader(
            "train_stretches.npy",
            (corpus / "train_stretches.npy").read_bytes(),
            mutators.BYTES,
            partial(beside, corpus, _read_corpus),
        ),
        "gpt": Reader("config.json", (gpt / "config.json").read_bytes(), mutators.JSON, partial(beside, gpt, load_gpt)),
        "predictor": Reader(
            "config.json",
            (predictor / "config.json").read_bytes(),
            mutators.JSON,
            partial(beside, predictor, load_predictor),
        ),
    }


def _read_corpus(folder: Path) -> None:
    corpus = LetterCorpus(folder, "train")
    for start, end in zip(corpus.starts, corpus.ends, strict=True):
        assert 0 <= start <= end <= len(corpus.tokens), "a stretch beyond its tokens"


def _vq_transformer(folder: Path) -> dict[str, Reader]:
    folder.mkdir()
    codes = np.arange(12, dtype=np.uint16).reshape(-1, 1)
    save_coded({"a": CodedDna(codes[:8], 16, np.array([[3, 5]])), "b": CodedDna(codes[8:], 8, np.zeros((0, 2), int))},
               folder / "codes.npz")  # fmt: skip
    bases = np.random.default_rng(1).integers(0, 4, 400).astype(np.uint8)
    Corpus.split({"c": bases[:300], "d": bases[300:]}, (), 0.25, 50, seed=1).save(folder / "corpus.npz")
    (folder / "network").mkdir()
    torch.manual_seed(0)
    save_network(VqTransformer(SMALL), folder / "network")
    table = {"format_version": 1, "k": 2, "size": 5, "codes": [number % 5 for number in range(16)]}

    def read_codes(path: Path) -> None:
        assert all(one.length >= 0 for one in load_coded(path).values()), "a length"

    def read_corpus(path: Path) -> None:
        found = Corpus.load(path)
        for split in found.spans:
            assert found.size(split) == sum(map(len, found.pieces(split))) >= 0, "sizes"

    return {
        "vq codes": Reader("codes.npz", (folder / "codes.npz").read_bytes(), mutators.ARRAYS, read_codes),
        "vq corpus": Reader("corpus.npz", (folder / "corpus.npz").read_bytes(), mutators.ARRAYS, read_corpus),
        "vq table": Reader("table.json", as_json(table), mutators.JSON, read_vq_codes),
        "vq network": Reader(
            "config.json",
            (folder / "network/config.json").read_bytes(),
            mutators.JSON,
            partial(beside, folder / "network", load_network),
        ),
        "vq dna": Reader("d.fa", b">a\nACGTN\nacg\n>b\nTTTT\n", mutators.TEXT, read_dna),
    }
