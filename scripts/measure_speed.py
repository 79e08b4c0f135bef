"""Measure speed as ratios within one run."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import torch

    from reregister.benchmark.table import measure
    from reregister.runtime import torch_settings
    from reregister.tables import write_frame

    params = job.params
    # The targets are those of a CPU, whatever device the run trains on.
    with torch_settings(job.threads, params.determinism, torch.device("cpu")) as job.determinism:
        table = measure(job.threads, params.model, params.training, params.elastix, params.plan)
    print(table.to_string(index=False))
    write_frame(job.output.speed, table)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
