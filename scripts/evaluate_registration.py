"""Measure one method's fields: metrics of every test pair, mean images of each group, and the pairs to look at."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import numpy as np

    from reregister.data.store import ImageStore
    from reregister.metrics.evaluation import evaluate_fields
    from reregister.metrics.examples import example_pairs
    from reregister.tables import write_arrays, write_frame

    store = ImageStore.open(job.input.images, job.input.subjects)
    pairs = store.frozen_pairs(job.input.pairs, "test")
    fields, truth = np.load(job.input.fields, mmap_mode="r"), np.load(job.input.truth, mmap_mode="r")
    metrics, images = evaluate_fields(
        store.images, pairs, fields, truth, store.spacing, job.params.unit, job.params.padding
    )
    examples = example_pairs(store.images, pairs, fields, metrics, job.params.padding)
    metrics.insert(0, "seed", int(job.wildcards["seed"]))
    metrics.insert(0, "method", job.wildcards["method"])
    write_frame(job.output.metrics, metrics)
    write_arrays(job.output.images, images)
    write_arrays(job.output.gallery, {"method": job.wildcards["method"], **examples})


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
