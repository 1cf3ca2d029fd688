"""The settings of a run: every section and option, how they are checked, and the pages that describe them."""
