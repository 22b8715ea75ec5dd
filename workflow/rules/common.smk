# What rules share: inputs that are known by what was made from them, and the files of figures.

CAPTIONS = "../report"  # words for `snakemake --report`, from here


# Snakemake makes what is missing. The plan states what is there and must be made again, by what it was made from, and never by
# times: an input is `ancient` to whatever need not be made again. Outputs are kept until they are replaced (`update`).
def known(record, *paths):
    """Inputs of what a record is of, as a function, since Snakemake is told while it plans which files to make again."""

    def inputs(wildcards):
        if FRESHNESS.known_to is not workflow.dag:  # once is enough: what is in there stays
            FRESHNESS.known_to = workflow.dag
            workflow.dag.forcefiles.update(FRESHNESS.again)
        fill = lambda path: path.format(**wildcards) if wildcards else path
        found = [fill(path) for path in paths]
        return found if fill(record) in FRESHNESS.records else [ancient(path) for path in found]

    return inputs


def images_of(record):
    """The images of a run, likewise."""

    def inputs(wildcards):
        folder = PLAN.data_folder(wildcards.run_id)
        return known(record, f"{folder}/manifest.json", f"{folder}/converted.json")(wildcards)

    return inputs


def drawn(folder, figures, **place):
    """The files of figures, the pictures with what Snakemake's own report says of them, and their record."""
    files = []
    for name in figures:
        path = f"{SHOWN}/figures/{folder}/{name}"
        caption = "plugin" if DRAWN_BY.outside(name) else name
        words = {"caption": f"{CAPTIONS}/{caption}.rst", "labels": {"experiment": folder, "figure": name}}
        picture = report(update(f"{path}.png"), **words, **place)
        files += [picture, update(f"{path}.svg"), update(f"{path}.csv")]
    return [*files, f"{SHOWN}/figures/{folder}/figures.json"]
