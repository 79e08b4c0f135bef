"""Compare the images that several methods warp, pair by pair and method against method."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import numpy as np

    from reregister.data.store import ImageStore
    from reregister.evaluation.warped import similarity_of_warped
    from reregister.tables import write_frame

    store = ImageStore.open(job.input.images, job.input.subjects)
    pairs = store.frozen_pairs(job.input.pairs, "test")
    # Of the first seed: the question is what the networks differ in, not what chance does.
    paths = zip(job.params.methods, job.input.fields, strict=True)
    fields = {method: np.load(path, mmap_mode="r")[0] for method, path in paths}
    progress = job.progress(len(pairs), "pairs")
    table = similarity_of_warped(store.images, pairs, fields, job.params.padding, progress.advance)
    write_frame(job.output.similarity, table)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
