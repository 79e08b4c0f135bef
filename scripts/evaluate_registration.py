"""Measure one method's fields: metrics of every test pair and label, mean images of each group, and pairs to look at."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import numpy as np
    import pandas as pd

    from reregister.data.label_maps import LabelMaps
    from reregister.data.store import ImageStore
    from reregister.evaluation.examples import example_pairs, sequence
    from reregister.evaluation.fields import PairData, choose_labels, evaluate_fields
    from reregister.tables import write_arrays, write_frame

    store = ImageStore.open(job.input.images, job.input.subjects)
    labels = LabelMaps.open(job.input.labels, job.input.label_table)
    labels, scored = choose_labels(labels, job.params.score_labels)
    pairs = store.frozen_pairs(job.input.pairs, "test")
    fields, truth = np.load(job.input.fields, mmap_mode="r"), np.load(job.input.truth, mmap_mode="r")
    about = (job.params.unit, job.params.padding, job.params.interpolation)
    data = PairData(store, labels, pairs, truth, *about, scored)
    progress = job.progress(fields.shape[0] * len(pairs), "pairs")
    found = [evaluate_fields(data, own, progress.advance) for own in fields]
    method, seeds = job.wildcards["method"], job.params.seeds
    metrics, by_label = (
        pd.concat([getattr(f, name).assign(method=method, seed=s) for f, s in zip(found, seeds, strict=True)])
        for name in ("metrics", "by_label")
    )
    first = ["method", "seed"]
    write_frame(job.output.metrics, metrics[[*first, *metrics.columns.drop(first)]])
    write_frame(job.output.labels, by_label[[*first, *by_label.columns.drop(first)]])
    # One picture of a pair is enough: those of the first seed.
    write_arrays(job.output.images, found[0].means)
    if job.params.sequence:
        shown = {"seed": seeds[0], **sequence(data, fields[0])}
    else:
        shown = example_pairs(data, fields[0], found[0].metrics, job.params.examples_by_group)
    write_arrays(job.output.gallery, {"method": method, **shown})


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
