"""Bring a dataset's archives within reach, check them, and write down what they are.

Archives stay where they are (with the user, in the run's stand-in folder) or go to the download cache; they are not copied.
"""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.data.download import fetch
    from reregister.data.source import Member, write_source
    from reregister.data.sources import check_local, origin_of, require_terms

    dataset, mode, location = job.wildcards["dataset"], job.params.mode, job.location
    assert location is not None
    if mode == "download":
        require_terms(dataset, job.params.terms, [dataset] if job.params.accepted else [])
    members = []
    for file in job.params.files:
        if mode == "standin":
            # The published checksum is that of the original, which the stand-in is not.
            file = {**file, "bytes": None, "sha256": None}
        found = (
            fetch(file, location, dataset=dataset) if mode == "download" else check_local(location / file["name"], file)
        )
        members.append(Member(file["name"], found.bytes, found.sha256, origin_of(file, mode)))
    write_source(job.output.source, members)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
