# Pages built from receipts, the run's root, and the checksums that come last.


rule build_report:
    input:
        receipts=lambda wildcards: PLAN.receipts(wildcards.paper),
        sources=lambda wildcards: PLAN.sources(wildcards.paper),
        figures=lambda wildcards: PLAN.pictures(wildcards.paper, "svg"),
        numbers=lambda wildcards: PLAN.pictures(wildcards.paper, "csv"),
        panels=lambda wildcards: expand(
            "<results>/{paper}/figures/{exhibit}.panels.json",
            paper=wildcards.paper,
            exhibit=PLAN.exhibits(wildcards.paper, "gallery"),
        ),
        tables=lambda wildcards: expand(
            "<results>/{paper}/tables/{exhibit}.csv",
            paper=wildcards.paper,
            exhibit=PLAN.exhibits(wildcards.paper, "table"),
        ),
        claims=lambda wildcards: claims_of(wildcards.paper),
        templates=templates(),
    output:
        page="<results>/report/{paper}.html",
        manifest="<results>/receipts/{paper}/manifest.json",
        summary="<results>/receipts/{paper}/summary.json",
        receipt="<results>/receipts/{paper}/build_report.json",
    log:
        "<results>/{paper}/logs/build_report.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(15),
    params:
        context=lambda wildcards: PLAN.page_context(wildcards.paper, workflow.config_settings.overwrite_config),
        code=code_for("build_report"),
        env=env_of("report"),
    script:
        "../../scripts/build_report.py"


rule build_index:
    input:
        manifests=lambda wildcards: expand("<results>/receipts/{paper}/manifest.json", paper=listed()),
        pages=lambda wildcards: expand("<results>/receipts/{paper}/build_report.json", paper=listed()),
        summaries=lambda wildcards: expand("<results>/receipts/{paper}/summary.json", paper=listed()),
        claims=lambda wildcards: [file for paper in listed() for file in claims_of(paper)],
        templates=templates(),
    output:
        page="<results>/report/index.html",
        ledger="<results>/report/ledger.html",
        root="<results>/receipts/root.json",
        receipt="<results>/receipts/build_index.json",
    log:
        "<results>/logs/build_index.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(15),
    params:
        run=SETTINGS.run,
        scale=SETTINGS.scale,
        code=code_for("build_index"),
        env=env_of("report"),
    script:
        "../../scripts/build_index.py"


rule write_checksums:
    input:
        receipts=lambda wildcards: [receipt for paper in listed() for receipt in PLAN.receipts(paper)],
        pages=lambda wildcards: expand("<results>/receipts/{paper}/build_report.json", paper=listed()),
        index="<results>/receipts/build_index.json",
    output:
        sums="<results>/SHA256SUMS",
        receipt="<results>/receipts/write_checksums.json",
    log:
        "<results>/logs/write_checksums.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(15),
    params:
        code=code_for("write_checksums"),
        env=env_of("report"),
    script:
        "../../scripts/write_checksums.py"
