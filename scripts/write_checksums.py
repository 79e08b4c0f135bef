"""Write SHA256SUMS over everything that the run's receipts name, and the receipts; `sha256sum -c` checks it."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.provenance.files import sha256_file, write_text
    from reregister.provenance.receipt import read_receipt

    sums = {}
    for path in [*job.input.receipts, *job.input.pages, job.input.index]:
        sums[path.relative_to(job.run_folder).as_posix()] = sha256_file(path)
        sums |= {name: output["sha256"] for name, output in read_receipt(path)["outputs"].items()}
    write_text(job.output.sums, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
