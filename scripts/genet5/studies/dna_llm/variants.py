"""The predictors of the study: which core, what of it is trained, which way it reads."""

from __future__ import annotations

from dataclasses import dataclass

DIRECTIONS = ("causal", "average", "concatenate")
CONTROLS = {"kmer_lookup": "lookup", "site_rule": "rule"}  # without a network; by folder: the name in the table


@dataclass(frozen=True)
class Variant:
    """A predictor of the study. ``folder`` is where it is kept, below ``models/``."""

    name: str
    about: str
    alphabet: str = ""  # of its core; none: the CNN
    pretrained: bool = False
    frozen: bool = True
    direction: str = "causal"
    bases: bool = False  # the head also reads what the CNN makes of the bases themselves
    one_sided: bool = False  # a CNN whose first layer sees no base ahead, as a GPT that reads forward

    @property
    def folder(self) -> str:
        return f"gpt_binding_model_{self.name}" if self.alphabet else f"cnn_{self.name.removesuffix('_cnn')}_model"


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("baseline", "CNN"),
        Variant("one_sided_cnn", "CNN, as few bases ahead as a GPT", one_sided=True),
        Variant("full", "GPT, 40 letters, frozen", "full", pretrained=True),
        Variant("vocab4", "GPT, 4 letters, frozen", "vocab4", pretrained=True),
        Variant("bpe32", "GPT, 32 tokens of bases, frozen", "bpe32", pretrained=True),
        Variant("random", "random core, frozen", "vocab4"),
        Variant("unfrozen", "GPT, trained through", "vocab4", pretrained=True, frozen=False),
        Variant("bidirectional", "GPT, both directions, frozen", "vocab4", True, direction="average"),
        Variant("bidirectional_random", "random core, both directions, frozen", "vocab4", direction="average"),
        Variant("bidirectional_unfrozen", "GPT, both directions, trained through", "vocab4", True, False, "average"),
        Variant(
            "bidirectional_unfrozen_random", "random core, both, trained through", "vocab4", False, False, "average"
        ),
        Variant("concatenated", "GPT, both directions side by side, frozen", "vocab4", True, True, "concatenate"),
        Variant(
            "concatenated_unfrozen", "GPT, both side by side, trained through", "vocab4", True, False, "concatenate"
        ),
        Variant("with_cnn", "CNN and GPT, frozen", "vocab4", True, True, "concatenate", bases=True),
        Variant("with_cnn_random", "CNN and a random core, frozen", "vocab4", False, True, "concatenate", bases=True),
    )
}
