"""What a clade is: one file each, with the rules of its genes, its windows, and the model that comes with it."""

from genet5.clades.clade import Clade, ShippedModel
from genet5.clades.folder import clade_named, read_clades

__all__ = ["Clade", "ShippedModel", "clade_named", "read_clades"]
