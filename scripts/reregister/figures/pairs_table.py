"""How many patients, images and pairs play each role: what stands behind the words training, validation and test."""

from collections.abc import Callable

import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.tables import read_frame

# Ordered pairs that a rule of training can draw from n images of one group, and those of them that differ by more than
# which image moves.
POOLS: dict[str, tuple[Callable[[int], int], Callable[[int], int]]] = {
    "ordered_pairs_within_group": (lambda n: n * n, lambda n: n * (n + 1) // 2),
    "each_image_once": (lambda n: n * n, lambda n: n * (n + 1) // 2),
    "ordered_distinct_pairs_within_group": (lambda n: n * (n - 1), lambda n: n * (n - 1) // 2),
}
ROLES = ("train", "validation", "test")


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from the frozen pairs and the pool of training images: one row per role that has any image.

    patients are clusters and groups those within which images are paired, as the tables name them. pairs are ordered: of
    training those that the pool's rule allows, of the others those in the table. unordered counts a pair and its reverse
    once. Raises ReregisterError for a rule of training that is not known here.
    """
    rows = []
    if inputs.get("pool"):
        pool = pd.concat([read_frame(path) for path in inputs["pool"]]).drop_duplicates(["id", "group"])
        rows.append(_of_pool(exhibit, pool))
    pairs = pd.concat([read_frame(path) for path in inputs["pairs"]]).drop_duplicates("pair_id")
    for role in ROLES:
        found = pairs[pairs["split"] == role]
        if len(found):
            rows.append(_of_pairs(role, found))
    return pd.DataFrame(rows, columns=["role", "patients", "groups", "images", "pairs", "unordered"])


def _of_pool(exhibit: Exhibit, pool: pd.DataFrame) -> dict[str, object]:
    rules = pool["rule"].unique()
    if len(rules) != 1 or rules[0] not in POOLS:
        raise ReregisterError(
            f"{exhibit.exhibit} cannot count training pairs of the rule {', '.join(rules)}; it knows {', '.join(POOLS)}"
        )
    sizes = pool.groupby("group").size()
    ordered, unordered = (sum(count(int(size)) for size in sizes) for count in POOLS[rules[0]])
    own = {"patients": pool["cluster"].nunique(), "groups": len(sizes), "images": pool["id"].nunique()}
    return {"role": "train", **own, "pairs": ordered, "unordered": unordered}


def _of_pairs(role: str, pairs: pd.DataFrame) -> dict[str, object]:
    ends = pairs[["moving", "fixed"]].to_numpy(str)
    images, unordered = {*ends.ravel()}, {tuple(sorted(pair)) for pair in ends.tolist()}
    own = {"patients": pairs["cluster"].nunique(), "groups": pairs["group"].nunique(), "images": len(images)}
    return {"role": role, **own, "pairs": len(pairs), "unordered": len(unordered)}
