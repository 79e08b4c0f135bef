# What travels with a run: the audit, which needs no project, and the description of the run as an RO-Crate.


rule write_audit:
    input:
        # No code of the script: what it copies is its input, so that an edit of the recorder alone makes it run again.
        audit=project_file("scripts/reregister/provenance/audit.py"),
    output:
        audit="<results>/audit.py",
        receipt="<results>/receipts/write_audit.json",
    log:
        "<results>/logs/write_audit.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(15),
    params:
        code=code_for("write_audit"),
        env=env_of("report"),
    script:
        "../../scripts/write_audit.py"


# It describes the files where they lie and copies none of them but the rules.
rule write_crate:
    input:
        receipts=lambda wildcards: list(
            dict.fromkeys(receipt for paper in listed() for receipt in PLAN.receipts(paper))
        ),
        pages=lambda wildcards: expand("<results>/receipts/{paper}/build_report.json", paper=listed()),
        index="<results>/receipts/build_index.json",
        sums="<results>/receipts/write_checksums.json",
        root="<results>/receipts/root.json",
        sources=[f"<results>/data/{dataset}/source.csv" for dataset in PLAN.datasets()],
        workflow=[project_file(name) for name in WORKFLOW_FILES],
    output:
        crate="<results>/ro-crate-metadata.json",
        workflow=[f"<results>/crate/{name}" for name in WORKFLOW_FILES],
        receipt="<results>/receipts/write_crate.json",
    log:
        "<results>/logs/write_crate.log",
    conda:
        "../../envs/crate.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(15),
    params:
        run=SETTINGS.run,
        scale=SETTINGS.scale,
        datasets=PLAN.credits(),
        code=code_for("write_crate"),
        env=env_of("crate"),
    script:
        "../../scripts/write_crate.py"
