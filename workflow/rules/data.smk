# From the archive, or a stand-in written like it, to images in memory order and frozen pairs.

# A stand-in is as many files as its archive has, so each dataset has a rule of its own.
for dataset, entry in SETTINGS.datasets.items():

    rule:
        name:
            f"make_standin_{dataset}"
        input:
            anatomy=PLAN.anatomy(dataset),
        output:
            archives=[f"<results>/data/{dataset}/standin/{file['name']}" for file in entry["files"]],
            truth=f"<results>/data/{dataset}/standin_truth.npz",
            receipt=f"<results>/receipts/data/make_standin/{dataset}.json",
        log:
            f"<results>/data/{dataset}/logs/make_standin.log",
        conda:
            "../../envs/data.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(720),
        params:
            standin=entry["reader"],
            seed=entry["standin"]["seed"],
            settings=entry["standin"]["settings"],
            dataset=dataset,
            location=PLAN.anatomy_folder(dataset),
            code=code_for("make_standin", ("data/standins", entry["reader"])),
            env=env_of("data"),
        script:
            "../../scripts/make_standin.py"


rule fetch_dataset:
    input:
        members=lambda wildcards: PLAN.members(wildcards.dataset),
    output:
        source="<results>/data/{dataset}/source.csv",
        receipt="<results>/receipts/data/fetch_dataset/{dataset}.json",
    log:
        "<results>/data/{dataset}/logs/fetch_dataset.log",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(720),
    params:
        mode=lambda wildcards: SETTINGS.mode(wildcards.dataset),
        files=lambda wildcards: SETTINGS.datasets[wildcards.dataset]["files"],
        terms=lambda wildcards: SETTINGS.datasets[wildcards.dataset]["terms"],
        accepted=lambda wildcards: wildcards.dataset in SETTINGS.config["accept_terms"],
        unpacked=lambda wildcards: SETTINGS.datasets[wildcards.dataset]["unpacked"],
        location=lambda wildcards: PLAN.location(wildcards.dataset),
        code=code_for("fetch_dataset"),
        env=env_of("data"),
    script:
        "../../scripts/fetch_dataset.py"


rule prepare_dataset:
    input:
        source="<results>/data/{dataset}/source.csv",
        members=lambda wildcards: PLAN.members(wildcards.dataset),
    output:
        images="<results>/data/{dataset}/images.npy",
        subjects="<results>/data/{dataset}/subjects.csv",
        labels="<results>/data/{dataset}/labels.npy",
        label_table="<results>/data/{dataset}/labels.csv",
        receipt="<results>/receipts/data/prepare_dataset/{dataset}.json",
    log:
        "<results>/data/{dataset}/logs/prepare_dataset.log",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        reader=reader_of,
        reading=lambda wildcards: SETTINGS.datasets[wildcards.dataset]["reading"],
        mode=lambda wildcards: SETTINGS.mode(wildcards.dataset),
        location=lambda wildcards: PLAN.location(wildcards.dataset),
        code=lambda wildcards: code_of(
            "prepare_dataset",
            ("data/readers", reader_of(wildcards)),
        ),
        env=env_of("data"),
    script:
        "../../scripts/prepare_dataset.py"


rule pair_images:
    input:
        unpack(store_of),
        unpack(labels_of),
        truth=lambda wildcards: PLAN.truth(dataset_of(wildcards)),
    output:
        pairs="<results>/{paper}/pairs/{experiment}.csv",
        pool="<results>/{paper}/pairs/{experiment}.pool.csv",
        truth="<results>/{paper}/pairs/{experiment}.truth.npy",
        receipt="<results>/receipts/{paper}/pair_images/{experiment}.json",
    log:
        "<results>/{paper}/logs/pair_images/{experiment}.log",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        split=lambda wildcards: experiment_of(wildcards)["split"],
        own_split=lambda wildcards: SETTINGS.own_split(dataset_of(wildcards)),
        pairs=lambda wildcards: experiment_of(wildcards)["pairs"],
        standin=reader_of,
        code=lambda wildcards: code_of(
            "pair_images",
            (
                "data/standins",
                reader_of(wildcards),
            ),
        ),
        env=env_of("data"),
    script:
        "../../scripts/pair_images.py"
