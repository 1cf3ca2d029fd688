"""A vector-quantised transformer that writes DNA as codes and reads it back, and what such a code can gain."""
