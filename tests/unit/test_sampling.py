"""The pairs of a training step: seeded, within a group, every pair equally likely."""

from itertools import pairwise

import pytest
import torch
from scipy import stats

from reregister.training.sampling import PairSampler

GROUPS = ["b", "a", "c", "b", "a", "b", "a", "b", "c", "b"]  # five of b, three of a, two of c


def drawn(sampler: PairSampler, batch: int, times: int = 1) -> list[tuple[int, int]]:
    pairs = []
    for _ in range(times):
        moving, fixed = sampler.draw(batch)
        assert moving.shape == fixed.shape == (batch,)
        pairs += list(zip(moving.tolist(), fixed.tolist(), strict=True))
    return pairs


def test_one_seed_gives_one_sequence():
    first, again, other = (drawn(PairSampler(GROUPS, seed), 8, 4) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_the_global_generator_has_no_say_and_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = drawn(PairSampler(GROUPS, 0), 16)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert drawn(PairSampler(GROUPS, 0), 16) == first


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("groups", [GROUPS, ["7"] * 6, ["x", *GROUPS]])
def test_every_ordered_pair_within_a_group_is_equally_likely(groups, distinct):
    allowed = {
        (m, f) for m, a in enumerate(groups) for f, b in enumerate(groups) if a == b and not (distinct and m == f)
    }
    counts = dict.fromkeys(sorted(allowed), 0)
    for pair in drawn(PairSampler(groups, 2017, distinct), 1000, 20):
        assert pair in allowed
        counts[pair] += 1
    assert stats.chisquare(list(counts.values())).pvalue > 0.01


def test_successive_draws_are_independent():
    # With replacement: the pair that was drawn last is as likely again as any other.
    pairs = drawn(PairSampler(["x", "x"], 5), 1, 4000)
    repeats = sum(a == b for a, b in pairwise(pairs))
    assert stats.binomtest(repeats, len(pairs) - 1, 0.25).pvalue > 0.01


def test_an_image_may_be_paired_with_itself():
    assert drawn(PairSampler(["x"], 0), 5) == [(0, 0)] * 5
    assert any(moving == fixed for moving, fixed in drawn(PairSampler(GROUPS, 0), 200))


def test_a_group_of_one_image_has_no_distinct_pair():
    assert set(drawn(PairSampler(["x", "y", "y"], 0, distinct=True), 200)) == {(1, 2), (2, 1)}
    with pytest.raises(ValueError, match="no group of the pool has two images"):
        PairSampler(["x", "y"], 0, distinct=True)


def test_saved_state_goes_on_identically():
    sampler = PairSampler(GROUPS, 0)
    drawn(sampler, 32, 7)
    state = sampler.generator.get_state()
    expected = drawn(sampler, 32, 5)
    other = PairSampler(GROUPS, 99)
    other.generator.set_state(state)
    assert drawn(other, 32, 5) == expected


def test_large_pool_reaches_its_last_image():
    n = 5000
    for distinct in (False, True):
        moving, fixed = PairSampler(["x"] * n, 0, distinct).draw(200_000)
        assert moving.unique().tolist() == fixed.unique().tolist() == list(range(n))
        assert bool((moving == fixed).any()) != distinct


def test_empty_pool():
    with pytest.raises(ValueError, match="pool of training images is empty"):
        PairSampler([], 0)
