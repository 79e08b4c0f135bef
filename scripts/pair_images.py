"""Give each image its role, freeze the validation and test pairs, and compose their true fields where data are synthetic."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import pandas as pd

    from reregister.data.label_maps import LabelMaps
    from reregister.data.pairing import frozen_pairs
    from reregister.data.pools import pairs_in_pool, training_pool
    from reregister.data.roles import split_subjects
    from reregister.data.store import ImageStore
    from reregister.data.true_fields import write_true_fields
    from reregister.registry import load
    from reregister.tables import write_frame

    store = ImageStore.open(job.input.images, job.input.subjects)
    roles = split_subjects(store.subjects, job.params.split, job.params.own_split)
    labelled = set(LabelMaps.open(job.input.labels, job.input.label_table).table["id"])
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
    made = job.input.truth[0] if job.input.truth else None
    standin = load("data/standins", job.params.standin)
    write_true_fields(job.output.truth, standin, made, test, store.images.shape[2:], store.subjects)
    # The kind of an image within its group, such as a seven with a crossbar, is known of some stand-ins alone.
    known = made is not None and hasattr(standin, "kinds")
    kinds = {f"{side}_kind": standin.kinds(made, pairs[side]) if known else "" for side in ("moving", "fixed")}
    write_frame(job.output.pairs, pairs.assign(**kinds))
    write_frame(job.output.pool, pool)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
