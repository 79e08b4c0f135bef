# Every method's fields in one file and one shape, whoever makes them.


rule register_pairs:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
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
        mem_mb=2500,
        runtime=240,
        gpu=gpus,
    params:
        parts=lambda wildcards: SETTINGS.trained_parts(**wildcards),
        seeds=lambda wildcards: SETTINGS.seeds(**wildcards),
        model=network_of,
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
        mem_mb=lambda wildcards: TOOLS[tool_of(wildcards)],
        runtime=240,
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
        mem_mb=lambda wildcards: fitting_of(wildcards)["mem_mb"],
        runtime=lambda wildcards: fitting_of(wildcards)["runtime"],
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
