# Networks: one job for each and each seed, be it trained or made of another.


rule train_model:
    input:
        unpack(store_of),
        unpack(trained_labels),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
        pool="<results>/{paper}/pairs/{experiment}.pool.csv",
        start=taken_weights,
    output:
        weights="<results>/{paper}/models/{experiment}/{method}/{part}_seed{seed}.safetensors",
        card="<results>/{paper}/models/{experiment}/{method}/{part}_seed{seed}.card.md",
        history="<results>/{paper}/models/{experiment}/{method}/{part}_seed{seed}.history.csv",
        receipt="<results>/receipts/{paper}/train_model/{experiment}/{method}_{part}_seed{seed}.json",
    log:
        "<results>/{paper}/logs/train_model/{experiment}/{method}_{part}_seed{seed}.log",
    benchmark:
        "<results>/{paper}/benchmarks/train_model/{experiment}/{method}_{part}_seed{seed}.tsv"
    wildcard_constraints:
        method=one_of(
            m for p in SETTINGS.papers for e in SETTINGS.papers[p]["experiments"] for m in SETTINGS.trained(p, e)
        ),
    conda:
        "../../envs/torch.yaml"
    threads: lambda wildcards: training_of(wildcards)["threads"]
    resources:
        mem_mb=growing(lambda wildcards: training_of(wildcards)["mem_mb"]),
        runtime=growing(lambda wildcards: training_of(wildcards)["runtime"]),
        gpu=gpus,
    params:
        model=network_of,
        # Left out where null, so that they enter the recipes of the trainings alone that have them.
        schedule=lambda wildcards: {
            key: value
            for key, value in training_of(wildcards).items()
            if key in SCHEDULE and not (key in ("labels", "augmentation") and value is None)
        },
        hold_zeros=lambda wildcards: method_of(wildcards)["hold_zeros"],
        optimiser=lambda wildcards: training_of(wildcards)["optimiser"],
        loss=lambda wildcards: training_of(wildcards)["loss"],
        data=lambda wildcards: {
            "dataset": dataset_of(wildcards),
            **{key: SETTINGS.datasets[dataset_of(wildcards)][key] for key in ("intensities", "unit")},
        },
        device=SETTINGS.config["device"],
        determinism=SETTINGS.config["determinism"],
        code=lambda wildcards: code_of("train_model", ("models", network_of(wildcards)["name"])),
        env=env_of("torch"),
    script:
        "../../scripts/train_model.py"


rule compress_model:
    input:
        weights=taken_weights,
    output:
        weights="<results>/{paper}/models/{experiment}/{method}/{part}_seed{seed}.safetensors",
        card="<results>/{paper}/models/{experiment}/{method}/{part}_seed{seed}.card.md",
        layers="<results>/{paper}/models/{experiment}/{method}/{part}_seed{seed}.layers.csv",
        receipt="<results>/receipts/{paper}/compress_model/{experiment}/{method}_{part}_seed{seed}.json",
    log:
        "<results>/{paper}/logs/compress_model/{experiment}/{method}_{part}_seed{seed}.log",
    wildcard_constraints:
        method=one_of(
            m for p in SETTINGS.papers for e in SETTINGS.papers[p]["experiments"] for m in SETTINGS.compressed(p, e)
        ),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(30),
    params:
        model=network_of,
        # Without the name of its source: that is the input, by its content.
        compress=lambda wildcards: {
            key: value for key, value in method_of(wildcards)["compress"].items() if key != "of"
        },
        code=lambda wildcards: code_of("compress_model", ("models", network_of(wildcards)["name"])),
        env=env_of("torch"),
    script:
        "../../scripts/compress_model.py"


# What a network costs. Times and memory vary from run to run, so no result depends on them but the exhibits that show them.
rule measure_step:
    input:
        unpack(store_of),
        source=lambda wildcards: f"<results>/data/{dataset_of(wildcards)}/source.csv",
        members=lambda wildcards: PLAN.members(dataset_of(wildcards)),
    output:
        steps="<results>/{paper}/steps/{experiment}/{method}.csv",
        receipt="<results>/receipts/{paper}/measure_step/{experiment}/{method}.json",
    log:
        "<results>/{paper}/logs/measure_step/{experiment}/{method}.log",
    conda:
        "../../envs/measure.yaml"
    threads: lambda wildcards: training_of(wildcards)["threads"]
    resources:
        mem_mb=growing(lambda wildcards: training_of(wildcards)["mem_mb"]),
        runtime=growing(120),
        gpu=gpus,
    params:
        **{
            key: lambda wildcards, key=key: training_of(wildcards)[key]
            for key in ("loss", "optimiser", "padding", "precision", "batch", "labels")
        },
        model=network_of,
        repeats=lambda wildcards: experiment_of(wildcards)["step"]["repeats"],
        memory_mb=lambda wildcards: experiment_of(wildcards)["step"]["memory_mb"],
        dataset=dataset_of,
        reader=reader_of,
        reading=lambda wildcards: SETTINGS.datasets[dataset_of(wildcards)]["reading"],
        mode=lambda wildcards: SETTINGS.mode(dataset_of(wildcards)),
        location=lambda wildcards: PLAN.location(dataset_of(wildcards)),
        device=SETTINGS.config["device"],
        determinism=SETTINGS.config["determinism"],
        code=lambda wildcards: code_of(
            "measure_step",
            ("models", network_of(wildcards)["name"]),
            ("data/readers", reader_of(wildcards)),
        ),
        env=env_of("measure"),
    script:
        "../../scripts/measure_step.py"


# Which networks an experiment makes is known from the config alone, so each experiment has a rule of its own.
for paper in SETTINGS.papers:
    for experiment in PLAN.network_experiments(paper):

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
                mem_mb=growing(4000),
                runtime=growing(60),
            params:
                code=code_for(
                    "export_models",
                    *(("models", name) for name in PLAN.architectures(paper, experiment)),
                ),
                env=env_of("export"),
            script:
                "../../scripts/export_models.py"
