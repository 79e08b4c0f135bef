# Speed as ratios within one run: `snakemake benchmark`. Times vary from run to run and enter no other exhibit.
from reregister.benchmark.plan import plan_config

# Measured whatever part of the papers a run has.
_DIGITS = SETTINGS.papers_all["dirnet"]["experiments"]["mnist"]


rule measure_speed:
    output:
        speed="<results>/benchmark/speed.csv",
        receipt="<results>/receipts/benchmark/measure_speed.json",
    log:
        "<results>/benchmark/measure_speed.log",
    conda:
        "../../envs/benchmark.yaml"
    # Many rows take two, in processes of their own, while nothing else is measured.
    threads: 1
    # One row trains on volumes of the size of OASIS, for which no more than this is the target.
    resources:
        mem_mb=growing(16000),
        runtime=growing(60),
    params:
        model=_DIGITS["methods"]["dirnet_bl"]["model"]["params"],
        training={key: _DIGITS["training"][key] for key in ("batch", "optimiser", "loss", "padding")},
        elastix=_DIGITS["methods"]["elastix_bspline"]["settings"],
        plan=plan_config(SETTINGS.config),
        determinism=SETTINGS.config["determinism"],
        code=code_for(
            "measure_speed",
            ("models", "dirnet"),
            ("models", "skip_net"),
            ("models", "cvpr_voxelmorph"),
            ("models", "reduced_voxelmorph"),
        ),
        env=env_of("benchmark"),
    script:
        "../../scripts/measure_speed.py"
