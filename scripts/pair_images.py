"""Give each image its role, freeze the validation and test pairs, and compose their true fields where data are synthetic."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import numpy as np
    import pandas as pd

    from reregister.data.labels import LabelStore
    from reregister.data.pairing import frozen_pairs, pairs_in_pool, training_pool
    from reregister.data.roles import split_subjects
    from reregister.data.store import ImageStore
    from reregister.registry import load
    from reregister.tables import write_array, write_frame

    store = ImageStore.open(job.input.images, job.input.subjects)
    roles = split_subjects(store.subjects, job.params.split, job.params.own_split)
    labelled = set(LabelStore.open(job.input.labels, job.input.label_table).table["id"])
    rules = job.params.pairs
    pool = training_pool(store.subjects, roles, rules["training"])
    pairs = pd.concat(
        [
            frozen_pairs(store.subjects, roles, {**rules[split], "split": split}, rules["seed"], labelled)
            for split in ("validation", "test")
        ],
        ignore_index=True,
    )
    print(f"training: {pairs_in_pool(pool)} ordered pairs of {len(pool)} images in {pool['group'].nunique()} groups")
    print(pairs.groupby("split")[["group", "cluster"]].agg(["size", "nunique"]).to_string())
    test = pairs[pairs["split"] == "test"]
    shape = store.images.shape[2:]
    truth = np.zeros((0, len(shape), *shape), np.float32)
    # The kind of an image within its group, such as a seven with a crossbar, is known of some stand-ins alone.
    pairs = pairs.assign(moving_kind="", fixed_kind="")
    if job.input.truth:
        standin = load("data/standins", job.params.standin)
        truth, _ = standin.truth_ddf(job.input.truth[0], test["moving"], test["fixed"], shape)
        if hasattr(standin, "kinds"):
            kinds = {f"{side}_kind": standin.kinds(job.input.truth[0], pairs[side]) for side in ("moving", "fixed")}
            pairs = pairs.assign(**kinds)
    write_frame(job.output.pairs, pairs)
    write_frame(job.output.pool, pool)
    write_array(job.output.truth, truth)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
