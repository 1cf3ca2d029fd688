"""FASTA access, annotation readers and writers, translation, splits and the leak audit."""
