"""What the studies read in place of files that data_root does not have."""

STUDY_FILES = {file.name: file for file in PUBLISHED.values()}


def in_data_root(source):
    """A source of a study's configuration with the folder data_root in it."""
    return source.replace("{data_root}", config["data_root"].rstrip("/"))


def published_in_place_of(source):
    """The public file that stands in for such a source, if it does."""
    return published_instead(in_data_root(source), config["data_root"], PUBLISHED)


def study_file(source):
    """Where this file is kept, as input; nothing if the source is a path or an address of its own."""
    found = published_in_place_of(source)
    return [f"data/raw/published/{found.name}"] if found else []


def study_source(source, published):
    """The public file, or the source itself."""
    return published[0] if published else hidden(in_data_root(source))
