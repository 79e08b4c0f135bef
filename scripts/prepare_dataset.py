"""Read a dataset's official files once: into one memory-mappable array, a table of its images, and their label maps."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.data.label_map_files import write_label_maps
    from reregister.data.reading import check_choices
    from reregister.data.source import locate, read_source
    from reregister.data.store import write_store
    from reregister.registry import load

    assert job.location is not None
    source = read_source(job.input.source)
    members = {member.member: locate(member, job.location, job.params.mode) for member in source}
    reader = load("data/readers", job.params.reader)
    # Only the original must hold what the paper's numbers rest on; of anything else the log says how it differs.
    original = all(member.origin.startswith("original") for member in source)
    sums = {member.member: member.sha256 for member in source}
    check_choices(reader, job.params.reading)
    with reader.read(members, sums, reader.ORIGINAL if original else {}, **job.params.reading) as reading:
        write_store(job.output.images, job.output.subjects, reading.count, reading)
        write_label_maps(job.output.labels, job.output.label_table, reading.shape, reading.labels())
        print("\n".join(["against the official counts:", *(reading.deviations() or ["no deviation"])]))
        print("\n".join(["read with these findings:", *(reading.report or ["none"])]))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
