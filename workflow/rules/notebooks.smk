# Each paper's story as a notebook, run on the results, and as a page that opens without a network.


rule run_notebook:
    input:
        unpack(notebook_inputs),
        notebook=lambda wildcards: project_file(f"workflow/notebooks/{wildcards.paper}.ipynb"),
        page=project_file("workflow/notebooks/page.html.j2"),
    output:
        notebook="<results>/{paper}/notebooks/{paper}.ipynb",
        page=shown("<results>/{paper}/notebooks/{paper}.html", notebook_labels, "notebook"),
        receipt="<results>/receipts/{paper}/run_notebook.json",
    log:
        "<results>/{paper}/logs/run_notebook.log",
    conda:
        "../../envs/notebook.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=15,
    params:
        about=lambda wildcards: PLAN.notebook_about(wildcards.paper),
        code=code_for("run_notebook"),
        env=env_of("notebook"),
    script:
        "../../scripts/run_notebook.py"
