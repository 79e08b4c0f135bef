# What lets a run be audited without this project.


rule write_audit:
    input:
        # No code of the script: what it copies is its input, so that an edit of the recorder alone makes it run again.
        audit=str(project_file("scripts", "reregister", "provenance", "audit.py")),
    output:
        audit="<results>/audit.py",
        receipt="<results>/receipts/write_audit.json",
    log:
        "<results>/logs/write_audit.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        code=code_of("write_audit"),
        env=env_of("report"),
    script:
        "../../scripts/write_audit.py"
