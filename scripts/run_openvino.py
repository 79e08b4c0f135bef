"""Register an experiment's test pairs with exported networks in OpenVINO on the CPU, in whole numbers where asked for."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import pandas as pd

    from reregister.baselines.batch import fields_file, register_pairs, timing_table
    from reregister.compression.calibration import calibration_pairs
    from reregister.compression.int8 import prepare
    from reregister.data.store import ImageStore
    from reregister.runtimes import onnx_method
    from reregister.tables import write_frame

    seeds, precision = job.params.seeds, job.params.settings["precision"]
    store = ImageStore.open(job.input.images, job.input.subjects)
    pairs = store.frozen_pairs(job.input.pairs, "test")
    rows, images = (pairs["moving_row"].to_numpy(), pairs["fixed_row"].to_numpy()), store.images[:, 0]
    count = job.params.settings.get("calibration") or 0
    targets = [path for path in job.output.models if path.suffix == ".xml"]
    progress = job.progress(len(seeds) * len(pairs), "pairs")
    timings, sizes = [], []
    shape = (len(seeds), len(pairs), images.ndim - 1, *images.shape[1:])
    with fields_file(job.output.fields, shape) as fields:
        for place, (seed, exported) in enumerate(zip(seeds, job.input.exports, strict=True)):
            target, done = targets[place] if targets else None, place * len(pairs)
            # Drawn when they are asked for: single precision needs none.
            calibration = calibration_pairs(store, job.input.pool, count)
            network, size = prepare(exported, precision, target, calibration, job.threads)
            sizes.append({"seed": seed, "precision": precision, "bytes": size})
            _, timing = register_pairs(
                onnx_method(network, "openvino", job.threads),
                images,
                *rows,
                store.spacings,
                {},
                fields[place],
                lambda number, done=done: progress.report(done + number),
            )
            timings.append(timing_table(timing, pairs, job.params.method, seed, "cpu", job.threads))
    write_frame(job.output.sizes, pd.DataFrame(sizes))
    write_frame(job.output.timing, pd.concat(timings, ignore_index=True))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
