# Reruns five deformable-registration papers, from the data archive to an HTML report. See README.md.
import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")
# Snakemake appends a script's folder to the search path, behind the environment's packages: without this, a reregister
# that is installed from another checkout would be imported in place of this one.
sys.path.insert(0, str(Path(workflow.basedir, "scripts")))
os.environ.update(PYTHONPATH=os.pathsep.join([sys.path[0], os.getenv("PYTHONPATH", "")]).rstrip(os.pathsep))


configfile: Path(workflow.basedir, "config", "config.yaml")


include: "workflow/rules/common.smk"


pathvars:
    results=f"results/{SETTINGS.run}",


# Not otherwise: Snakemake refuses a path with a blank in it, be the image used or not.
if "APPTAINER" in {method.name for method in workflow.deployment_settings.deployment_method}:

    container: project_file("envs/container.sif")


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/register.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/notebooks.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/provenance.smk"
include: "workflow/rules/benchmark.smk"


localrules:
    papers,
    all,
    benchmark,
    crate,
    fetch_dataset,
    write_audit,
    build_report,
    build_index,
    write_checksums,
    write_crate,
    # Seconds each, and many of them: on a cluster each would wait in the queue for longer than it works.
    compress_model,
    compare_methods,
    weigh_claims,
    plot_figure,
    plot_gallery,
    make_table,
    run_notebook,


rule papers:
    default_target: True
    input:
        "<results>/report/index.html",
        "<results>/SHA256SUMS",


# The papers, and the protocols over all their methods: with these the index and the checksums hold more.
rule all:
    input:
        expand("<results>/report/{paper}.html", paper=SETTINGS.papers),
        "<results>/report/index.html",
        "<results>/SHA256SUMS",


# One target per paper or protocol, by its own name: `snakemake --cores all dirnet`.
for paper in SETTINGS.papers:

    rule:
        name:
            paper
        input:
            f"<results>/report/{paper}.html",
        localrule: True


rule benchmark:
    input:
        "<results>/benchmark/speed.csv",


rule crate:
    input:
        "<results>/ro-crate-metadata.json",


onstart:
    refuse_second_run()
    PLAN.claim_folder()
    CONSOLE.start()


onsuccess:
    CONSOLE.succeed()


onerror:
    CONSOLE.fail()
