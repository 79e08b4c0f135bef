# Metrics of each method, then all methods of an experiment side by side, and the paper's claims against all of it.


rule evaluate_registration:
    input:
        unpack(store_of),
        unpack(labels_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
        truth="<results>/{paper}/pairs/{experiment}.truth.npy",
        fields="<results>/{paper}/fields/{experiment}/{method}.npy",
    output:
        metrics="<results>/{paper}/metrics/{experiment}/{method}.csv",
        labels="<results>/{paper}/metrics/{experiment}/{method}.labels.csv",
        images="<results>/{paper}/metrics/{experiment}/{method}.images.npz",
        gallery="<results>/{paper}/metrics/{experiment}/{method}.gallery.npz",
        receipt="<results>/receipts/{paper}/evaluate_registration/{experiment}/{method}.json",
    log:
        "<results>/{paper}/logs/evaluate_registration/{experiment}/{method}.log",
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wildcards: experiment_of(wildcards)["jobs"]["mem_mb"]),
        runtime=growing(time_of),
    params:
        padding=lambda wildcards: fitting_of(wildcards)["padding"],
        examples_by_group=lambda wildcards: experiment_of(wildcards)["examples_by_group"],
        score_labels=lambda wildcards: experiment_of(wildcards)["score_labels"],
        interpolation=lambda wildcards: experiment_of(wildcards)["label_interpolation"],
        seeds=lambda wildcards: SETTINGS.seeds(**wildcards),
        sequence=lambda wildcards: experiment_of(wildcards)["pairs"]["test"]["name"] == "cycle",
        unit=lambda wildcards: SETTINGS.datasets[dataset_of(wildcards)]["unit"],
        code=code_for("evaluate_registration"),
        env=env_of("evaluate"),
    script:
        "../../scripts/evaluate_registration.py"


rule compare_warped:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
        fields=lambda wildcards: [
            f"<results>/{wildcards.paper}/fields/{wildcards.experiment}/{method}.npy"
            for method in PLAN.read(wildcards.paper, wildcards.experiment, "similarity")
        ],
    output:
        similarity="<results>/{paper}/metrics/{experiment}/similarity.csv",
        receipt="<results>/receipts/{paper}/compare_warped/{experiment}.json",
    log:
        "<results>/{paper}/logs/compare_warped/{experiment}.log",
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wildcards: experiment_of(wildcards)["jobs"]["mem_mb"]),
        runtime=growing(time_of),
    params:
        methods=lambda wildcards: PLAN.read(wildcards.paper, wildcards.experiment, "similarity"),
        padding=lambda wildcards: fitting_of(wildcards)["padding"],
        code=code_for("compare_warped"),
        env=env_of("evaluate"),
    script:
        "../../scripts/compare_warped.py"


rule compare_methods:
    input:
        metrics=lambda wildcards: PLAN.results(wildcards.paper, wildcards.experiment, "metrics"),
    output:
        comparison="<results>/{paper}/metrics/{experiment}/comparison.csv",
        receipt="<results>/receipts/{paper}/compare_methods/{experiment}.json",
    log:
        "<results>/{paper}/logs/compare_methods/{experiment}.log",
    conda:
        "../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(30),
    params:
        code=code_for("compare_methods"),
        env=env_of("plot"),
    script:
        "../../scripts/compare_methods.py"


rule weigh_claims:
    input:
        # The axes of fidelity are read off the receipts.
        unpack(lambda wildcards: PLAN.weighed(wildcards.paper)),
        receipts=lambda wildcards: PLAN.work_receipts(wildcards.paper),
        sources=lambda wildcards: PLAN.sources(wildcards.paper),
    output:
        **{
            name: f"<results>/{{paper}}/claims/{name}.csv"
            for name in (*WEIGHED_TABLES, *(f"timed_{name}" for name in WEIGHED_TABLES))
        },
        receipt="<results>/receipts/{paper}/weigh_claims.json",
    log:
        "<results>/{paper}/logs/weigh_claims.log",
    conda:
        "../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        claims=lambda wildcards: SETTINGS.claims[wildcards.paper],
        full=lambda wildcards: full_scale(SETTINGS, wildcards.paper),
        kinds=lambda wildcards: list(PLAN.weighed(wildcards.paper)),
        timed=lambda wildcards: PLAN.timed_tables(wildcards.paper),
        labels=lambda wildcards: PLAN.method_labels(wildcards.paper),
        code=code_for("weigh_claims"),
        env=env_of("plot"),
    script:
        "../../scripts/weigh_claims.py"
