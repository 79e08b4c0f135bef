# Every method's fields in one file and one shape, whoever makes them.


rule register_pairs:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
        start=start_of,
        weights=lambda wildcards: PLAN.weights(**wildcards),
    output:
        fields="<results>/{paper}/fields/{experiment}/{method}.npy",
        timing="<results>/{paper}/fields/{experiment}/{method}.timing.csv",
        receipt="<results>/receipts/{paper}/register_pairs/{experiment}/{method}.json",
    log:
        "<results>/{paper}/logs/register_pairs/{experiment}/{method}.log",
    benchmark:
        "<results>/{paper}/benchmarks/register_pairs/{experiment}/{method}.tsv"
    wildcard_constraints:
        method=one_of(SETTINGS.all_methods("network")),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(memory_of),
        runtime=growing(time_of),
        gpu=gpus,
    params:
        parts=lambda wildcards: SETTINGS.parts_of(**wildcards),
        seeds=lambda wildcards: SETTINGS.seeds(**wildcards),
        model=network_of,
        inference=lambda wildcards: method_of(wildcards)["inference"],
        device=SETTINGS.config["device"],
        determinism=SETTINGS.config["determinism"],
        code=lambda wildcards: code_of("register_pairs", ("models", network_of(wildcards)["name"])),
        env=env_of("torch"),
    script:
        "../../scripts/register_pairs.py"


rule run_baseline:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
        start=start_of,
    output:
        fields="<results>/{paper}/fields/{experiment}/{method}.npy",
        timing="<results>/{paper}/fields/{experiment}/{method}.timing.csv",
        receipt="<results>/receipts/{paper}/run_baseline/{experiment}/{method}.json",
    log:
        "<results>/{paper}/logs/run_baseline/{experiment}/{method}.log",
    benchmark:
        "<results>/{paper}/benchmarks/run_baseline/{experiment}/{method}.tsv"
    wildcard_constraints:
        method=one_of(name for tool in TOOLS for name in SETTINGS.all_methods(tool)),
    # Each tool has an environment of its own.
    conda:
        lambda wildcards: f"../../envs/{tool_of(wildcards)}.yaml"
    threads: 1
    resources:
        mem_mb=growing(memory_of),
        runtime=growing(time_of),
    params:
        tool=lambda wildcards: tool_of(wildcards),
        settings=lambda wildcards: method_of(wildcards)["settings"],
        code=lambda wildcards: code_of("run_baseline", ("baselines", tool_of(wildcards))),
        env=lambda wildcards: env_of(tool_of(wildcards)),
    script:
        "../../scripts/run_baseline.py"


rule run_prior:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
        start=start_of,
    output:
        fields="<results>/{paper}/fields/{experiment}/{method}.npy",
        timing="<results>/{paper}/fields/{experiment}/{method}.timing.csv",
        traces="<results>/{paper}/fields/{experiment}/{method}.traces.csv",
        card="<results>/{paper}/models/{experiment}/{method}.card.md",
        receipt="<results>/receipts/{paper}/run_prior/{experiment}/{method}.json",
    log:
        "<results>/{paper}/logs/run_prior/{experiment}/{method}.log",
    benchmark:
        "<results>/{paper}/benchmarks/run_prior/{experiment}/{method}.tsv"
    wildcard_constraints:
        method=one_of(SETTINGS.all_methods("prior")),
    conda:
        "../../envs/torch.yaml"
    # So many pairs run side by side, on one thread each: their number moves no result.
    threads: lambda wildcards: fitting_of(wildcards)["threads"]
    resources:
        mem_mb=growing(lambda wildcards: fitting_of(wildcards)["mem_mb"]),
        runtime=growing(lambda wildcards: fitting_of(wildcards)["runtime"]),
        gpu=gpus,
    params:
        model=lambda wildcards: method_of(wildcards)["model"],
        settings=lambda wildcards: {
            **method_of(wildcards)["settings"],
            "padding": fitting_of(wildcards)["padding"],
        },
        device=SETTINGS.config["device"],
        determinism=SETTINGS.config["determinism"],
        code=lambda wildcards: code_of("run_prior", ("models", method_of(wildcards)["model"]["name"])),
        env=env_of("torch"),
    script:
        "../../scripts/run_prior.py"


# How many networks in whole numbers a method has is known from the config alone, so each has a rule of its own.
for paper in SETTINGS.papers:
    for experiment in SETTINGS.papers[paper]["experiments"]:
        for method in SETTINGS.methods(paper, experiment, "openvino"):

            rule:
                name:
                    f"run_openvino_{paper}_{experiment}_{method}"
                input:
                    **PLAN.store(SETTINGS.experiment(paper, experiment)["dataset"]),
                    pairs=f"<results>/{paper}/pairs/{experiment}.csv",
                    pool=f"<results>/{paper}/pairs/{experiment}.pool.csv",
                    exports=PLAN.weights(paper, experiment, method, "exports"),
                output:
                    fields=f"<results>/{paper}/fields/{experiment}/{method}.npy",
                    timing=f"<results>/{paper}/fields/{experiment}/{method}.timing.csv",
                    sizes=f"<results>/{paper}/fields/{experiment}/{method}.sizes.csv",
                    models=PLAN.int8_networks(paper, experiment, method),
                    receipt=f"<results>/receipts/{paper}/run_openvino/{experiment}/{method}.json",
                log:
                    f"<results>/{paper}/logs/run_openvino/{experiment}/{method}.log",
                conda:
                    "../../envs/openvino.yaml"
                threads: 1
                resources:
                    mem_mb=growing(SETTINGS.experiment(paper, experiment)["jobs"]["mem_mb"]),
                    runtime=growing(SETTINGS.experiment(paper, experiment)["jobs"]["runtime"]),
                params:
                    method=method,
                    seeds=SETTINGS.seeds(paper, experiment, method),
                    settings={
                        key: value
                        for key, value in SETTINGS.experiment(paper, experiment)["methods"][method]["settings"].items()
                        if key != "of"
                    },
                    code=code_for("run_openvino"),
                    env=env_of("openvino"),
                script:
                    "../../scripts/run_openvino.py"
