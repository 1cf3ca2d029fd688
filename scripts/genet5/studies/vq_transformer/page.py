"""The study's report: one HTML page that holds its pictures and needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genet5.report.markup import Markup, tag
from genet5.report.numbers import count, percent
from genet5.studies.report_page import picture, report_page
from genet5.studies.vq_transformer.bounds import best_accuracy, least_rate

TARGET_ACCURACY, TARGET_BITS, TARGET_USAGE = 0.99, 2.0, 0.9
COLUMNS = (
    ("point", "bases a code x codes (x codebooks)"),
    ("nominal_bits", "bits per base: log2 of the codes"),
    ("entropy_bits", "of their entropy"),
    ("coded_bits", "arithmetic-coded"),
    ("base_accuracy", "bases that come back"),
    ("bound", "at most, at this entropy"),
    ("block_code_accuracy", "k-mers alone"),
    ("usage", "codes in use"),
    ("perplexity", "perplexity"),
    ("correction_bits", "correction bits"),
    ("lossless_bits", "bits without error"),
    ("table_agreement", "slots that a table codes the same"),
    ("information_bits", "bits a code tells of the class"),
)


def build_page(
    run: str,
    main: str,
    results: Sequence[Mapping[str, Any]],
    histories: Mapping[str, Mapping[str, Any]],
    limits: Mapping[str, Any],
    round_trip: Mapping[str, Any],
    pictures: Mapping[str, Path],
) -> str:
    """The page as HTML text. ``results``: of each point, in table order; ``pictures``: PNG files by name."""
    chosen = next(row for row in results if row["point"] == main)
    return report_page(
        f"VQ-Transformer · {run}",
        _facts(chosen, histories[main]),
        tag("section", tag("h2", "What was reached"), _verdict(chosen, round_trip), _honest(chosen, limits)),
        tag(
            "section",
            tag("h2", "Rate and errors"),
            tag("p", picture(pictures["rate_distortion"], "Rate-distortion curve")),
            _points_table(results, limits),
            tag("p", _EXPLAINED),
        ),
        tag(
            "section",
            tag("h2", "Without any error"),
            tag("p", picture(pictures["lossless"], "Bits per base of compressors and codecs")),
            _limits_table(limits),
        ),
        tag("section", tag("h2", "Codes"), tag("p", picture(pictures["codes"], "Principal components of codes"))),
        tag("section", tag("h2", "Training"), tag("p", picture(pictures["training"], "Losses")), _training(histories)),
        footer=_HELD_OUT if limits["held_out"] else _NOT_HELD_OUT,
    )


_HELD_OUT = "Held-out DNA was seen in no training; validation DNA chose the weights."
_NOT_HELD_OUT = "The scored DNA was seen in no training, but it is the validation DNA: it chose the weights."
_EXPLAINED = (
    "Filled circles: log2 of the number of codes; open ones: the entropy of the codes as they occur. k-mers alone: the "
    "best code of k-mers found by Lloyd's algorithm in Hamming distance on training DNA, without network or context. "
    "Correction bits: cross-entropy of the bases given the codes, what an arithmetic coder with the decoder's "
    "probabilities needs to mend every error. A table codes the same: share of held-out slots whose code depends on "
    "their own k-mer alone."
)


def _facts(chosen: Mapping[str, Any], history: Mapping[str, Any]) -> Markup:
    return tag(
        "p",
        f"{history['parameters'] / 1e6:.2f} million parameters, trained on {count(history['train_bases'])} bases in "
        f"{count(history['steps'])} steps ({history['total_time_s']:.0f} s); "
        f"{count(chosen['test_bases'])} bases held out.",
    )


def _verdict(chosen: Mapping[str, Any], round_trip: Mapping[str, Any]) -> Markup:
    rows = (
        ("bases that come back", percent(chosen["base_accuracy"], 3), f"at least {TARGET_ACCURACY:.0%}",
         chosen["base_accuracy"] >= TARGET_ACCURACY),
        ("bits per base, log2 of the codes", f"{chosen['nominal_bits']:.3f}", f"at most {TARGET_BITS}",
         chosen["nominal_bits"] <= TARGET_BITS),
        ("codes in use", percent(chosen["usage"]), f"at least {TARGET_USAGE:.0%}", chosen["usage"] >= TARGET_USAGE),
        ("round trip FASTA, codes, FASTA", f"{count(round_trip['wrong_bases'])} wrong of {count(round_trip['bases'])}",
         f"at least {TARGET_ACCURACY:.0%} right", round_trip["identity"] >= TARGET_ACCURACY),
    )  # fmt: skip
    cells = [
        tag("tr", tag("td", name), tag("td", found), tag("td", wanted),
            tag("td", "met" if met else "missed", class_="met" if met else "missed"))
        for name, found, wanted, met in rows
    ]  # fmt: skip
    head = tag("tr", [tag("th", text) for text in (f"codec {chosen['point']}, held-out DNA", "found", "target", "")])
    return tag("table", head, cells)


def _honest(chosen: Mapping[str, Any], limits: Mapping[str, Any]) -> Markup:
    """What a learned code can gain, in numbers of this run."""
    entropy = limits["entropy"]
    needed = least_rate(entropy, TARGET_ACCURACY)
    lossless = chosen["lossless_bits"]
    return tag(
        "p",
        f"The best model of this DNA that was measured needs {entropy:.3f} bits a base, packing needs 2. If that is "
        f"the entropy, no code brings {TARGET_ACCURACY:.0%} of the bases back in less than {needed:.3f} bits a base "
        f"(Shannon's lower bound), so any code of this accuracy saves at most {2 - needed:.3f} of 2 bits. "
        f"A code of {chosen['codebook_size']} for {chosen['bases_per_code']} bases at "
        f"{chosen['nominal_bits']:.2f} bits is therefore nearly one code for one k-mer, which counting could write "
        f"down: the network finds that bijection, it does not beat it. Entropy-coded, its codes take "
        f"{chosen['coded_bits']:.3f} bits a base, {lossless:.3f} with every error mended; "
        f"an order-{limits['arithmetic_coder_order']} model takes {limits['figures']['arithmetic_coder']:.3f}. "
        "Below that rate every code loses bases; there the network stands beside a code of k-mers found by counting.",
    )


def _points_table(results: Sequence[Mapping[str, Any]], limits: Mapping[str, Any]) -> Markup:
    rows = []
    for row in results:
        cells = {**row, "bound": best_accuracy(limits["entropy"], row["entropy_bits"])}
        rows.append(tag("tr", [tag("td", _cell(key, cells[key])) for key, _ in COLUMNS]))
    return tag("table", tag("tr", [tag("th", text) for _, text in COLUMNS]), rows)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if key in ("base_accuracy", "bound", "block_code_accuracy", "usage", "table_agreement"):
        return percent(value, 2)
    return f"{value:.1f}" if key == "perplexity" else f"{value:.4f}"


def _limits_table(limits: Mapping[str, Any]) -> Markup:
    orders = sorted(limits["adaptive"], key=int)
    head = tag("tr", tag("th", "bits per base, model of order"), [tag("th", order) for order in orders])
    rows = [
        tag("tr", tag("td", name), [tag("td", f"{limits[key][order]:.4f}") for order in orders])
        for key, name in (("adaptive", "counting as it goes"), ("learned", "counted in the other DNA before"))
    ]
    return tag("table", head, rows)


def _training(histories: Mapping[str, Mapping[str, Any]]) -> Markup:
    names = ("point", "parameters", "steps", "best step", "training loss", "validation loss", "codes restarted", "s")
    rows = []
    for name, history in histories.items():
        best = history["evaluations"]["step"].index(history["best_step"])
        losses = [f"{history['evaluations'][key][best]:.4f}" for key in ("train_loss", "val_loss")]
        restarted = count(history["evaluations"]["restarted_codes"][-1])
        cells = (name, count(history["parameters"]), history["steps"], history["best_step"], *losses, restarted,
                 f"{history['total_time_s']:.0f}")  # fmt: skip
        rows.append(tag("tr", [tag("td", cell) for cell in cells]))
    return tag("table", tag("tr", [tag("th", text) for text in names]), rows)
