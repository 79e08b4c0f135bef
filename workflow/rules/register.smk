# Every method's fields in one file and one shape, whoever makes them.


rule register_pairs:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
        weights=lambda wildcards: PLAN.parts("weights", **wildcards),
    output:
        fields="<results>/{paper}/fields/{experiment}/{method}_seed{seed}.npy",
        timing="<results>/{paper}/fields/{experiment}/{method}_seed{seed}.timing.csv",
        receipt="<results>/receipts/{paper}/register_pairs/{experiment}/{method}_seed{seed}.json",
    log:
        "<results>/{paper}/logs/register_pairs/{experiment}/{method}_seed{seed}.log",
    benchmark:
        "<results>/{paper}/benchmarks/register_pairs/{experiment}/{method}_seed{seed}.tsv"
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
        parts=lambda wildcards: training_of(wildcards)["parts"],
        model=lambda wildcards: method_of(wildcards)["model"],
        device=SETTINGS.config["device"],
        determinism=SETTINGS.config["determinism"],
        code=lambda wildcards: code_of("register_pairs", ("models", method_of(wildcards)["model"]["name"])),
        env=env_of("torch"),
    script:
        "../../scripts/register_pairs.py"


rule run_elastix:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
    output:
        fields="<results>/{paper}/fields/{experiment}/{method}_seed{seed}.npy",
        timing="<results>/{paper}/fields/{experiment}/{method}_seed{seed}.timing.csv",
        receipt="<results>/receipts/{paper}/run_elastix/{experiment}/{method}_seed{seed}.json",
    log:
        "<results>/{paper}/logs/run_elastix/{experiment}/{method}_seed{seed}.log",
    benchmark:
        "<results>/{paper}/benchmarks/run_elastix/{experiment}/{method}_seed{seed}.tsv"
    wildcard_constraints:
        method=one_of(SETTINGS.all_methods("elastix")),
    conda:
        "../../envs/elastix.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        settings=lambda wildcards: method_of(wildcards)["settings"],
        code=code_of("run_elastix"),
        env=env_of("elastix"),
    script:
        "../../scripts/run_elastix.py"


rule run_ants:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
    output:
        fields="<results>/{paper}/fields/{experiment}/{method}_seed{seed}.npy",
        timing="<results>/{paper}/fields/{experiment}/{method}_seed{seed}.timing.csv",
        receipt="<results>/receipts/{paper}/run_ants/{experiment}/{method}_seed{seed}.json",
    log:
        "<results>/{paper}/logs/run_ants/{experiment}/{method}_seed{seed}.log",
    benchmark:
        "<results>/{paper}/benchmarks/run_ants/{experiment}/{method}_seed{seed}.tsv"
    wildcard_constraints:
        method=one_of(SETTINGS.all_methods("ants")),
    conda:
        "../../envs/ants.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        settings=lambda wildcards: method_of(wildcards)["settings"],
        code=code_of("run_ants"),
        env=env_of("ants"),
    script:
        "../../scripts/run_ants.py"


rule run_itk:
    input:
        unpack(store_of),
        pairs="<results>/{paper}/pairs/{experiment}.csv",
    output:
        fields="<results>/{paper}/fields/{experiment}/{method}_seed{seed}.npy",
        timing="<results>/{paper}/fields/{experiment}/{method}_seed{seed}.timing.csv",
        receipt="<results>/receipts/{paper}/run_itk/{experiment}/{method}_seed{seed}.json",
    log:
        "<results>/{paper}/logs/run_itk/{experiment}/{method}_seed{seed}.log",
    benchmark:
        "<results>/{paper}/benchmarks/run_itk/{experiment}/{method}_seed{seed}.tsv"
    wildcard_constraints:
        method=one_of(SETTINGS.all_methods("itk")),
    conda:
        "../../envs/itk.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        settings=lambda wildcards: method_of(wildcards)["settings"],
        code=code_of("run_itk"),
        env=env_of("itk"),
    script:
        "../../scripts/run_itk.py"
