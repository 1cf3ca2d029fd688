"""Evidence: RNA-seq and proteins as hints of every usual format, matched with a genome, as additions to potentials."""
