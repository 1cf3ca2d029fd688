"""``python -m genet5``: the same as the command ``genet5``."""

from genet5.cli import main

main()
