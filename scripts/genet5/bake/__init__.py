"""Windows, samples and tar shards cut from annotated genomes."""
