"""The pairs of a training step: seeded, within a group, every pair equally likely."""

from itertools import pairwise

import pytest
import torch
from scipy import stats

from reregister.training.sampling import EpochSampler, InOrderSampler, PairSampler, make_sampler

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


def epoch(sampler: EpochSampler, batch: int, images: int) -> tuple[list[int], list[int]]:
    """Moving and fixed images of one epoch, in the order in which they are drawn."""
    moving: list[int] = []
    fixed: list[int] = []
    while len(fixed) < images:
        for images_of, side in zip(sampler.draw(batch), (moving, fixed), strict=True):
            side += images_of.tolist()
    return moving, fixed


@pytest.mark.parametrize("batch", [1, 3, 4, 10, 64])
def test_an_epoch_has_each_image_once_as_the_fixed_one(batch):
    sampler = EpochSampler(GROUPS, 0)
    orders = []
    for _ in range(4):
        moving, fixed = epoch(sampler, batch, len(GROUPS))
        assert sorted(fixed) == list(range(len(GROUPS)))
        assert [GROUPS[m] for m in moving] == [GROUPS[f] for f in fixed]
        orders.append(tuple(fixed))
    assert len(set(orders)) == 4


def test_epochs_do_not_depend_on_the_batch():
    first, second = ([epoch(EpochSampler(GROUPS, 5), batch, 10) for _ in range(1)] for batch in (3, 7))
    assert first == second
    assert epoch(EpochSampler(GROUPS, 6), 3, 10) != first[0]


def test_the_last_batch_of_an_epoch_has_what_is_left():
    sampler = EpochSampler(["7"] * 10, 0)
    assert [len(sampler.draw(4)[1]) for _ in range(6)] == [4, 4, 2, 4, 4, 2]
    # 5,012 = 28 x 179: the paper's epoch has no remainder.
    sampler = EpochSampler(["7"] * 5012, 0)
    assert {len(sampler.draw(179)[0]) for _ in range(28)} == {179}


def test_partners_are_uniform_with_replacement_and_may_be_the_image_itself():
    sampler, counts = EpochSampler(GROUPS, 2), {}
    for _ in range(2000):
        for pair in zip(*epoch(sampler, 10, 10), strict=True):
            counts[pair] = counts.get(pair, 0) + 1
    for group, size in (("b", 5), ("a", 3), ("c", 2)):
        of_group = {pair: count for pair, count in counts.items() if GROUPS[pair[0]] == group}
        assert len(of_group) == size * size
        assert stats.chisquare(list(of_group.values())).pvalue > 0.01
    moving, _ = epoch(EpochSampler(["7"] * 200, 1), 200, 200)
    # Drawn with replacement, 200 of 200 leave about 1/e out; a permutation would leave none.
    assert 100 < len(set(moving)) < 150


@pytest.mark.parametrize("draws", [0, 1, 3, 4, 7, 8])
def test_saved_epoch_goes_on_identically(draws):
    sampler = EpochSampler(GROUPS, 0)
    for _ in range(draws):
        sampler.draw(3)
    state = sampler.get_state()
    expected = drawn_batches(sampler, 9)
    other = EpochSampler(GROUPS, 99)
    other.draw(3)
    other.set_state(state)
    assert drawn_batches(other, 9) == expected
    seeded = torch.Generator().manual_seed(0).get_state()
    assert torch.equal(state[: len(seeded)], seeded) == (draws <= 4)


def drawn_batches(sampler: EpochSampler, times: int) -> list[list[list[int]]]:
    return [[side.tolist() for side in sampler.draw(3)] for _ in range(times)]


def test_state_of_another_sampler_is_refused():
    with pytest.raises(RuntimeError):
        EpochSampler(GROUPS, 0).set_state(PairSampler(GROUPS, 0).get_state())
    with pytest.raises(RuntimeError):
        PairSampler(GROUPS, 0).set_state(EpochSampler(GROUPS, 0).get_state())


def test_empty_pool_has_no_epoch():
    with pytest.raises(ValueError, match="pool of training images is empty"):
        EpochSampler([], 0)


@pytest.mark.parametrize("draws", [1, 3, 4, 5])
def test_what_others_drew_within_an_epoch_goes_on_too(draws):
    """Labels and augmentation draw from the sampler's generator between its own draws."""

    def go(sampler, times):
        return [(drawn_batches(sampler, 1), torch.rand(3, generator=sampler.generator).tolist()) for _ in range(times)]

    for make in (EpochSampler, lambda groups, seed: InOrderSampler(len(groups), seed)):
        sampler, other = make(GROUPS, 0), make(GROUPS, 99)
        go(sampler, draws)
        state = sampler.get_state()
        expected = go(sampler, 9)
        go(other, 2)
        other.set_state(state)
        assert go(other, 9) == expected


def test_partners_of_distinct_epochs_are_uniform_over_the_others():
    sampler, counts = EpochSampler(GROUPS, 2, distinct=True), {}
    for _ in range(2000):
        moving, fixed = epoch(sampler, 10, 10)
        assert sorted(fixed) == list(range(10))
        for pair in zip(moving, fixed, strict=True):
            counts[pair] = counts.get(pair, 0) + 1
    for group, size in (("b", 5), ("a", 3), ("c", 2)):
        of_group = {pair: count for pair, count in counts.items() if GROUPS[pair[0]] == GROUPS[pair[1]] == group}
        assert len(of_group) == size * (size - 1)
        assert all(moving != fixed for moving, fixed in of_group)
        assert size == 2 or stats.chisquare(list(of_group.values())).pvalue > 0.01
    with pytest.raises(ValueError, match="no two images"):
        EpochSampler(["x", "y", "y"], 0, distinct=True)


def test_fixed_pairs_come_in_order_epoch_after_epoch():
    sampler = InOrderSampler(5, 0)
    found = [sampler.draw(2) for _ in range(7)]
    assert [moving.tolist() for moving, _ in found] == [[0, 1], [2, 3], [4], [0, 1], [2, 3], [4], [0, 1]]
    assert all(torch.equal(moving, fixed) for moving, fixed in found)
    with pytest.raises(ValueError, match="pool of training images is empty"):
        InOrderSampler(0, 0)
    for stranger in (PairSampler(GROUPS, 0), EpochSampler(GROUPS, 0)):
        with pytest.raises(RuntimeError):
            sampler.set_state(stranger.get_state())


def test_the_rule_makes_its_sampler():
    assert isinstance(make_sampler(GROUPS, 0, False, False, False), PairSampler)
    assert isinstance(make_sampler(GROUPS, 0, True, True, False), EpochSampler)
    assert isinstance(make_sampler(GROUPS, 0, True, True, True), InOrderSampler)
