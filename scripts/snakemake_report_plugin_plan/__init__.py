"""Report plugin of Snakemake (9.27): `snakemake --reporter plan` writes the plan as JSON instead of a page.

It needs no finished run and no `.snakemake`: from Snakemake's report it takes only the graph of jobs, which follows from
the configuration alone. Every start of Snakemake imports this file, so the library is imported inside `render`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_interface_report_plugins.reporter import ReporterBase
from snakemake_interface_report_plugins.settings import ReportSettingsBase


@dataclass
class ReportSettings(ReportSettingsBase):
    """Command line options of the plugin."""

    path: Path = field(default=Path("plan.json"), metadata={"help": "Where the plan is written, as JSON."})


class Reporter(ReporterBase):
    """Writes every job that leaves a receipt, in the order of the work, as its script would see it."""

    def render(self) -> None:
        from reregister.provenance.job import from_snakemake
        from reregister.provenance.planned import write_plan

        levels: Any = self.dag.toposorted()
        jobs = [job for level in levels for job in sorted(level, key=lambda job: str(job.output))]
        # A script records the job under its own file's name, whatever the rule is called.
        write_plan(
            self.settings.path,
            [from_snakemake(job, Path(job.rule.script)) for job in jobs if hasattr(job.output, "receipt")],
        )
