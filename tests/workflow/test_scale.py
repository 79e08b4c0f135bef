"""A plan of many jobs: Snakemake's own count of them is that of the plan."""

from collections import Counter
from collections.abc import Callable

from reregister.config import read_yaml
from reregister.plan import Plan
from reregister.settings import Settings

from .conftest import PROJECT, Workflow

SEEDS = list(range(20))


def test_a_plan_of_many_seeds_has_the_jobs_that_it_should_have_and_no_others(fresh: Callable[[], Workflow]) -> None:
    planned = fresh().planned("papers", "--config", "scale=smoke", f"seeds={SEEDS}")
    settings = Settings(PROJECT, read_yaml(PROJECT / "config" / "config.yaml"), {"scale": "smoke", "seeds": SEEDS})
    plan = Plan(settings)
    papers = [paper for paper in settings.papers if paper not in settings.protocols]
    receipts = {name for paper in papers for name in plan.receipts(paper)}
    # results/smoke/receipts/PAPER/RULE/...: what is not per experiment or dataset has no such folder.
    expected = Counter(name.split("/")[4] for name in receipts if len(name.split("/")) > 5)
    by_name = ("train_model", "compress_model", "register_pairs", "run_baseline", "run_prior", "evaluate_registration")
    assert {rule: planned[rule] for rule in by_name} == {rule: expected[rule] for rule in by_name}
    # Beside the receipts' jobs: a page for each paper, the index, the checksums and the target.
    assert sum(planned.values()) == len(receipts) + len(papers) + 3
    assert sum(planned.values()) > 1000
