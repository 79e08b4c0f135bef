# Speed as ratios within one run: `snakemake benchmark`. Times vary from run to run and enter no other exhibit.


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
        device=SETTINGS.config["device"],
        code=code_of("measure_speed", ("models", "dirnet")),
        env=env_of("benchmark"),
    script:
        "../../scripts/measure_speed.py"
