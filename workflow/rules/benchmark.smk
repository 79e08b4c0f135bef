# Speed as ratios within one run: `snakemake benchmark`. Times vary from run to run and enter no other exhibit.
from reregister.benchmark.plan import plan_config


rule measure_speed:
    output:
        speed="<results>/benchmark/speed.csv",
        receipt="<results>/receipts/benchmark/measure_speed.json",
    log:
        "<results>/benchmark/measure_speed.log",
    conda:
        "../../envs/benchmark.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        model=SETTINGS.experiment("dirnet", "mnist")["methods"]["dirnet_bl"]["model"]["params"],
        training={
            key: SETTINGS.experiment("dirnet", "mnist")["training"][key]
            for key in ("batch", "optimiser", "loss", "padding")
        },
        elastix=SETTINGS.experiment("dirnet", "mnist")["methods"]["elastix_bspline"]["settings"],
        plan=plan_config(SETTINGS.config),
        determinism=SETTINGS.config["determinism"],
        code=code_of("measure_speed", ("models", "dirnet")),
        env=env_of("benchmark"),
    script:
        "../../scripts/measure_speed.py"
