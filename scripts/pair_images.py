"""Give each image its role, freeze the validation and test pairs, and compose their true fields where data are synthetic."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import numpy as np
    import pandas as pd

    from reregister.data.pairing import frozen_pairs, split_subjects, training_pool
    from reregister.data.store import ImageStore
    from reregister.registry import load
    from reregister.tables import write_array, write_frame

    store = ImageStore.open(job.input.images, job.input.subjects)
    roles = split_subjects(store.subjects, job.params.split, job.params.own_split)
    seed = job.params.pairs["seed"]
    pairs = pd.concat(
        [
            frozen_pairs(store.subjects, roles, {**job.params.pairs[split], "split": split}, seed)
            for split in ("validation", "test")
        ],
        ignore_index=True,
    )
    test = pairs[pairs["split"] == "test"]
    shape = store.images.shape[2:]
    truth = np.zeros((0, len(shape), *shape), np.float32)
    if job.input.truth:
        standin = load("data/standins", job.params.standin)
        truth, _ = standin.truth_ddf(job.input.truth[0], test["moving"], test["fixed"], shape)
    write_frame(job.output.pairs, pairs)
    write_frame(job.output.pool, training_pool(store.subjects, roles))
    write_array(job.output.truth, truth)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
