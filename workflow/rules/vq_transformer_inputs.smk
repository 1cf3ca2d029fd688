"""What the rules of the study VQ-Transformer read, from the configuration and the species table."""

from genet5.studies.vq_transformer.points import check_points, point_named

VQ_POINTS, VQ_MAIN = config["vq_transformer"]["points"], config["vq_transformer"]["main"]
or_exit(check_points, VQ_POINTS, VQ_MAIN)
# The study calls a GPU cuda. Its auto leaves the choice to the key device.
VQ_TRAIN = dict(config["vq_transformer"]["train"])
if VQ_TRAIN["device"] == "auto":
    VQ_TRAIN["device"] = {"gpu": "cuda"}.get(config["device"], config["device"])


def vq_species():
    """Species whose DNA the study VQ-Transformer reads; none when it reads a file of its own."""
    section = config["vq_transformer"]
    return (
        [] if section["dna"] else or_exit(select_species, section["species"], SPECIES, SHEET, "vq_transformer.species")
    )


def vq_dna(wildcards):
    """Their genomes, or the file."""
    return [f"data/raw/{name}/fna" for name in vq_species()] or [config["vq_transformer"]["dna"]]


def vq_indexes(wildcards):
    """Indexes of the genomes, which are read with their annotations."""
    return [f"data/raw/{name}/fna.fai" for name in vq_species()]


def vq_annotations(wildcards):
    """Their annotations."""
    return [f"data/raw/{name}/gff.gz" for name in vq_species()]


def vq_named_dna(wildcards):
    """The DNA as the script takes it: name=file."""
    return [f"{name}={path}" for name, path in zip(vq_species() or ["dna"], vq_dna(wildcards), strict=True)]


def vq_held_out(wildcards):
    """The flag for the regions that the species table holds out for testing."""
    named = [(name, SPECIES[name].test_regions) for name in vq_species()]
    return optional("--held-out", *(f"{name}={regions}" for name, regions in named if regions))


def vq_named_annotations(wildcards):
    """The flag for the annotations: name=genetic code=file."""
    return optional("--annotations", *(f"{name}={GENETIC_CODES[name]}=data/raw/{name}/gff.gz" for name in vq_species()))


def vq_tables(wildcards):
    """The table of codes of the main point, if its k-mers are short enough and its codes few enough for one."""
    point = point_named(VQ_MAIN)
    return [f"data/studies/vq_transformer/{RUN}/tokens/{VQ_MAIN}.json"] if point.has_table else []


wildcard_constraints:
    point="[0-9]+x[0-9]+(x[0-9]+)?",
