# Training: one job for each network and seed.


rule train_model:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
        pool="<results>/{paper}/pairs/{experiment}.pool.csv",
    output:
        weights="<results>/{paper}/models/{experiment}/{method}/{part}_seed{seed}.safetensors",
        card="<results>/{paper}/models/{experiment}/{method}/{part}_seed{seed}.card.md",
        history="<results>/{paper}/models/{experiment}/{method}/{part}_seed{seed}.history.csv",
        receipt="<results>/receipts/{paper}/train_model/{experiment}/{method}_{part}_seed{seed}.json",
    log:
        "<results>/{paper}/logs/train_model/{experiment}/{method}_{part}_seed{seed}.log",
    benchmark:
        "<results>/{paper}/benchmarks/train_model/{experiment}/{method}_{part}_seed{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: lambda wildcards: training_of(wildcards)["threads"]
    resources:
        mem_mb=lambda wildcards: training_of(wildcards)["mem_mb"],
        runtime=lambda wildcards: training_of(wildcards)["runtime"],
        gpu=gpus,
    params:
        model=lambda wildcards: method_of(wildcards)["model"],
        schedule=lambda wildcards: {
            key: value
            for key, value in training_of(wildcards).items()
            if key in ("iterations", "validate_every", "epochs", "stop", "log_every", "batch", "padding", "precision")
        },
        optimiser=lambda wildcards: training_of(wildcards)["optimiser"],
        loss=lambda wildcards: training_of(wildcards)["loss"],
        data=lambda wildcards: {
            "dataset": dataset_of(wildcards),
            **{key: SETTINGS.datasets[dataset_of(wildcards)][key] for key in ("intensities", "unit")},
        },
        device=SETTINGS.config["device"],
        determinism=SETTINGS.config["determinism"],
        code=lambda wildcards: code_of("train_model", ("models", method_of(wildcards)["model"]["name"])),
        env=env_of("torch"),
    script:
        "../../scripts/train_model.py"


# Which networks an experiment trains is known from the config alone, so each experiment has a rule of its own.
for paper in SETTINGS.papers:
    for experiment in PLAN.training_experiments(paper):

        rule:
            name:
                f"export_{paper}_{experiment}"
            input:
                weights=PLAN.results(paper, experiment, "weights"),
            output:
                models=PLAN.results(paper, experiment, "exports"),
                receipt=f"<results>/receipts/{paper}/export_models/{experiment}.json",
            log:
                f"<results>/{paper}/logs/export_models/{experiment}.log",
            conda:
                "../../envs/export.yaml"
            threads: 1
            resources:
                mem_mb=4000,
                runtime=60,
            params:
                code=code_of(
                    "export_models",
                    *(("models", name) for name in PLAN.architectures(paper, experiment)),
                ),
                env=env_of("export"),
            script:
                "../../scripts/export_models.py"
