"""Bring a dataset's archives within reach, check them, and write down what they are.

Archives stay where they are (with the user, in the run's stand-in folder) or go to the download cache; they are not copied.
"""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.data.archive import Archive
    from reregister.data.download import fetch
    from reregister.data.source import Member, write_source
    from reregister.data.sources import check_local, origin_of, other_sum, require_terms
    from reregister.data.unpacked import subset_name

    dataset, mode, location = job.wildcards["dataset"], job.params.mode, job.location
    assert location is not None
    files = {file["name"]: file for file in job.params.files}
    members = []
    if mode == "download":
        require_terms(dataset, job.params.terms, [dataset] if job.params.accepted else [])
        for name, file in files.items():
            found = fetch(file, location, dataset=dataset)
            members.append(Member(name, found.bytes, found.sha256, origin_of(file, mode)))
    else:
        names = {path.relative_to(location).as_posix(): path for path in job.input.members}
        subset, whole = None, set(names) == set(files)
        if mode == "path" and not whole:
            with Archive(names) as archive:
                subset = subset_name(archive.names, job.params.unpacked)
        for name, path in names.items():
            # Published checksums are those of the original archives: a stand-in is none, and what was unpacked may have
            # been written anew, such as a table with other line ends.
            found = check_local(path, files[name] if mode == "path" and whole else {"name": name})
            file = files.get(name, {}) if mode == "path" else {}
            if wrong := other_sum(path, found.sha256, file):
                print(f"{name} {wrong}")
                file = {}
            members.append(Member(name, found.bytes, found.sha256, subset or origin_of(file, mode)))
    write_source(job.output.source, members)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
