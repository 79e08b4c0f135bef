"""Read a dataset's official files once, into one memory-mappable array and a table of its images."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.data.source import locate, read_source
    from reregister.data.store import write_store
    from reregister.registry import load

    assert job.location is not None
    source = read_source(job.input.source)
    members = {member.member: locate(member, job.location, job.params.mode) for member in source}
    reader = load("data/readers", job.params.reader)
    # Only the original must hold what the paper's numbers rest on; of anything else the log says how it differs.
    original = all(member.origin == "original-verified" for member in source)
    sums = {member.member: member.sha256 for member in source}
    images, subjects = reader.read(members, sums, reader.ORIGINAL if original else {})
    deviations = reader.check_counts(subjects, images.shape[2:])
    print("\n".join(["against the official counts:", *(deviations or ["no deviation"])]))
    write_store(job.output.images, job.output.subjects, images, subjects)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
