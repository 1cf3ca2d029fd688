"""A folder of parameters as AUGUSTUS writes them, small and made up, with numbers that a test can look for again."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

DONORS = {"aga": 0.5, "cga": 0.3, "agc": 0.2}
ACCEPTORS = {"cc": 0.6, "tg": 0.4}


@dataclass
class MadeParameters:
    """What is written. ``order``: of the Markov models. ``upper``: letters of patterns. ``donors``: 1 + 2 bases."""

    name: str = "made"
    order: int = 2
    upper: bool = False
    classes: int = 1
    counts: tuple[int, int, int, int] = (40, 60, 90, 60)
    exceeding: tuple[int, int, int, int] = (4, 0, 0, 0)
    stops: tuple[float, float, float] = (0.5, 0.3, 0.2)  # TAA, TAG, TGA
    settings: tuple[str, ...] = ()
    donors: dict[str, float] = field(default_factory=lambda: dict(DONORS))
    acceptors: dict[str, float] = field(default_factory=lambda: dict(ACCEPTORS))
    short_introns: float = 0.8
    extra_intron_bp: float = 100.0
    introns: dict[int, float] = field(default_factory=lambda: {40: 0.5, 50: 0.3, 60: 0.2})
    exons: tuple[int, int] = (31, 200)  # all lengths between these are as likely
    max_bp: int = 300

    def write(self, config: Path) -> Path:
        """Write the four files; returns the folder of the species."""
        folder = config / "species" / self.name
        folder.mkdir(parents=True)
        for kind, text in (("exon", self.exon_text()), ("intron", self.intron_text()), ("igenic", self.igenic_text())):
            (folder / f"{self.name}_{kind}_probs.pbl").write_text(text)
        (folder / f"{self.name}_parameters.cfg").write_text(self.settings_text())
        return folder

    def settings_text(self) -> str:
        ochre, amber, opal = self.stops
        return "\n".join(
            [
                "# made up",
                "/Constant/dss_start 1",
                "/Constant/dss_end   2",
                "/Constant/ass_start 1  # a comment",
                "/Constant/ass_end   1",
                "/Constant/min_coding_len 150",
                "/ExonModel/maxexonlength 2000",
                f"/Constant/ochreprob {ochre}",
                f"/Constant/amberprob {amber}",
                f"/Constant/opalprob {opal}",
                *self.settings,
                "",
            ]
        )

    def exon_text(self) -> str:
        low, high = self.exons
        share = 1000 / (high - low + 1)
        lines = ["# made up", "[LENGTH]", "# longest", str(self.max_bp), "# slope", "0.3", "# least", "8", "# counts"]
        lines += ["\t".join(map(str, self.counts)), "\t".join(map(str, self.exceeding))]
        lines += [
            "\t".join([str(length), *[f"{share if low <= length <= high else 0:.6g}"] * 4])
            for length in range(self.max_bp + 1)
        ]
        for number in range(self.classes):
            lines += [*self._head(number), "[P_ls]", f"# k = {self.order}"]
            for length in range(1, self.order + 2):
                lines += ["# l=", str(length - 1), *self._patterns(length, self.joint(number, 3, length))]
            lines += ["[TRANSINIT]", "# width, order", "4", "0"]
            lines += [f" {place}  0.7\t0.1\t0.1\t0.1" for place in range(4)]
        return "\n".join(lines) + "\n"

    def intron_text(self) -> str:
        lines = ["[ASS]", "# size", "16", "# count", "1000", "# pseudocount", "0.001"]
        lines += [f"{self._cased(word)}\t{1000 * share:g}" for word, share in self.acceptors.items()]
        lines += ["[ASSBIN]", "1", "[DSS]", "# size", "64", "# count", "1000", "# pseudocount", "0.001"]
        lines += [f"{self._cased(word)}\t{1000 * share:g}" for word, share in self.donors.items()]
        lines += ["[DSSBIN]", "1", "[LENGTH]", "# d", "80", "# lengths"]
        lines += [f"{1000 * self.introns.get(length, 0):g}" for length in range(81)]
        for number in range(self.classes):
            lines += [*self._head(number), "[TRANSITION]", f"{self.short_introns}", f"{self.extra_intron_bp}"]
            lines += ["[EMISSION]", "# size", str(4 ** (self.order + 1)), "# k", str(self.order), "# pseudo", "1"]
            conditional = self.conditional(number, 1)
            words = product("acgt", repeat=self.order + 1)
            lines += [
                f"{self._cased(''.join(word))}\t{value:.6g}"
                for word, value in zip(words, conditional.reshape(-1), strict=True)
            ]
            lines += [
                "[ASSMOTIF]",
                "# width, order",
                "5",
                "0",
                *(f"{place} 0.05\t0.05\t0.05\t0.85" for place in range(5)),
            ]
        return "\n".join(lines) + "\n"

    def igenic_text(self) -> str:
        lines = []
        for number in range(self.classes):
            lines += [*self._head(number), "# k =", str(self.order), "[P_ls]"]
            for length in range(1, self.order + 2):
                lines += ["# l=", str(length - 1), *self._patterns(length, self.joint(number, 1, length))]
        return "\n".join(lines) + "\n"

    def conditional(self, number: int, columns: int) -> np.ndarray:
        """The chance of each base after ``order`` others, [columns, 4 ** order, 4], in a class of GC content."""
        rng = np.random.default_rng([number, columns])
        table = rng.dirichlet(np.full(4, 4.0), (columns, 4**self.order))
        gc = np.array([1, 1 + number, 1 + number, 1])
        return table * gc / (table * gc).sum(axis=-1, keepdims=True)

    def joint(self, number: int, columns: int, length: int) -> np.ndarray:
        """Shares of all patterns of a length, [columns, 4 ** length]; only the longest belong to ``conditional``."""
        if length <= self.order:
            return np.full((columns, 4**length), 1 / 4**length)
        return self.conditional(number, columns).reshape(columns, -1) / 4**self.order

    def _head(self, number: int) -> list[str]:
        gc = 0.2 + 0.05 * number
        return [f"[{number + 1}]", f"# (a,c,g,t)= ({0.5 - gc:.3g}, {gc:.3g}, {gc:.3g}, {0.5 - gc:.3g})"]

    def _patterns(self, length: int, table: np.ndarray) -> list[str]:
        words = map("".join, product("acgt", repeat=length))
        return [
            "\t".join([self._cased(word), *(f"{value:.6g}" for value in column)])
            for word, column in zip(words, table.T, strict=True)
        ]

    def _cased(self, word: str) -> str:
        return word.upper() if self.upper else word
