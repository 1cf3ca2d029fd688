"""Compiling the network of a training with ``torch.compile``."""

from __future__ import annotations

from typing import Any

import torch

from genet5.errors import InputError

#: of torch.compile
BACKEND = "inductor"
#: Forms of one network: forward and validation, with and without a mask, one window and several. Beyond this number
#: PyTorch would go on uncompiled without a word that a user sees.
MOST_GRAPHS = 64


def prepare_compiling() -> dict[str, Any]:
    """What to call ``torch.compile`` or ``Module.compile`` with. Raises ``InputError`` where no compiler is installed.

    Lengths differ from batch to batch: the first change of a length makes it a variable of the compiled code.
    """
    if BACKEND == "inductor":
        check_cpp_compiler()
    torch._dynamo.config.recompile_limit = MOST_GRAPHS
    # Checkpointed layers report which experts they chose; the backward pass does not have to report again. Versions of
    # PyTorch that do not know this option break the graph there.
    if hasattr(torch._dynamo.config, "skip_fwd_side_effects_in_bwd_under_checkpoint"):
        torch._dynamo.config.skip_fwd_side_effects_in_bwd_under_checkpoint = True
    return {"dynamic": None, "backend": BACKEND}


def check_cpp_compiler() -> None:
    """Raise ``InputError`` where there is no C++ compiler: inductor makes C++ code, also around code for GPUs."""
    from torch._inductor import cpp_builder, exc  # here: this import takes a second, and few trainings compile

    try:
        cpp_builder.get_cpp_compiler()
    except exc.InvalidCxxCompiler as error:
        raise InputError(
            "compile: found true, but there is no C++ compiler here; install one (apt-get install g++), or set compile "
            "to false"
        ) from error
