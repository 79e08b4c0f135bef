"""Make a trained network smaller: prune its weights, or store them in fewer bits."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.compression.compress import compress
    from reregister.tables import write_frame

    name, arguments = job.params.model["name"], job.params.model["params"]
    weights, card = job.output.weights, job.output.card
    (source,) = job.input.weights
    layers = compress(source, name, arguments, job.params.compress, job.recipe_id, weights, card)
    write_frame(job.output.layers, layers)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
