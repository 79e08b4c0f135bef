# Figures, galleries and tables, each with the numbers that it shows as CSV.


rule plot_figure:
    input:
        unpack(exhibit_inputs),
    output:
        svg=shown("<results>/{paper}/figures/{exhibit}.svg", exhibit_labels),
        pdf="<results>/{paper}/figures/{exhibit}.pdf",
        png="<results>/{paper}/figures/{exhibit}.png",
        numbers="<results>/{paper}/figures/{exhibit}.csv",
        receipt="<results>/receipts/{paper}/plot_figure/{exhibit}.json",
    log:
        "<results>/{paper}/logs/plot_figure/{exhibit}.log",
    wildcard_constraints:
        exhibit=any_exhibit("figure"),
    conda:
        "../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(15),
    params:
        exhibit=exhibit_params,
        code=exhibit_code("plot_figure"),
        env=env_of("plot"),
    script:
        "../../scripts/plot_figure.py"


rule plot_gallery:
    input:
        unpack(exhibit_inputs),
    output:
        svg=shown("<results>/{paper}/figures/{exhibit}.svg", exhibit_labels),
        pdf="<results>/{paper}/figures/{exhibit}.pdf",
        png="<results>/{paper}/figures/{exhibit}.png",
        numbers="<results>/{paper}/figures/{exhibit}.csv",
        panels="<results>/{paper}/figures/{exhibit}.panels.json",
        receipt="<results>/receipts/{paper}/plot_gallery/{exhibit}.json",
    log:
        "<results>/{paper}/logs/plot_gallery/{exhibit}.log",
    wildcard_constraints:
        exhibit=any_exhibit("gallery"),
    conda:
        "../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(15),
    params:
        exhibit=exhibit_params,
        code=exhibit_code("plot_gallery"),
        env=env_of("plot"),
    script:
        "../../scripts/plot_gallery.py"


rule make_table:
    input:
        unpack(exhibit_inputs),
    output:
        table=shown("<results>/{paper}/tables/{exhibit}.csv", exhibit_labels),
        receipt="<results>/receipts/{paper}/make_table/{exhibit}.json",
    log:
        "<results>/{paper}/logs/make_table/{exhibit}.log",
    conda:
        "../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(15),
    params:
        exhibit=exhibit_params,
        code=exhibit_code("make_table"),
        env=env_of("plot"),
    script:
        "../../scripts/make_table.py"
