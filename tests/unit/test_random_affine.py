"""label-reg's random affine augmentation."""

import numpy as np
import pytest
import torch

from reregister.transforms.random_affine import affine_ddf, augment, random_affine


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("ndim", [2, 3])
def test_corners_move_inward_by_up_to_a_tenth(ndim):
    matrices = random_affine(seeded(), 200, ndim).double()
    assert matrices.shape == (200, ndim, ndim + 1)
    corners = [[-1.0] * ndim] + [[1.0 if axis == place else -1.0 for axis in range(ndim)] for place in range(ndim)]
    old = torch.tensor(corners).double()
    new = old @ matrices[:, :, :-1].mT + matrices[:, None, :, -1]
    inward = (new - old) * -old
    assert float(inward.min()) > -1e-6
    assert 0.09 < float(inward.max()) < 0.1 + 1e-6
    # Uniform, independent for every corner and axis.
    np.testing.assert_allclose(inward.mean(0), 0.05, atol=0.01)


def test_matrix_is_label_regs_least_squares():
    matrices = random_affine(seeded(3), 1).double()[0]
    source = np.array([[-1, -1, -1, 1], [-1, -1, 1, 1], [-1, 1, -1, 1], [1, -1, -1, 1]], float)
    inward = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]], float)
    drawn = torch.rand(1, 4, 3, generator=seeded(3))[0].double().numpy() * 0.1
    wanted = np.linalg.lstsq(source, source[:, :3] + inward * drawn, rcond=-1)[0].T
    np.testing.assert_allclose(matrices, wanted, atol=1e-6)


@pytest.mark.parametrize("origin", ["voxel_origin", "centre"])
@pytest.mark.parametrize("size", [(5, 7, 9), (6, 4)])
def test_field_is_the_matrix_applied_voxel_by_voxel(origin, size):
    ndim = len(size)
    matrices = random_affine(seeded(), 2, ndim)
    ddf = affine_ddf(matrices, size, origin)
    assert ddf.shape == (2, ndim, *size)
    for place in np.ndindex(*size):
        x = np.array(place, float)
        scale = (np.array(size) - 1) / 2
        matrix = matrices[1].double().numpy()
        if origin == "centre":
            y = (matrix[:, :-1] @ (x / scale - 1) + matrix[:, -1] + 1) * scale
        else:
            y = matrix[:, :-1] @ x + matrix[:, -1]
        np.testing.assert_allclose(ddf[(1, slice(None), *place)], y - x, atol=1e-5)


def test_the_two_origins_differ_where_label_reg_does():
    matrices = random_affine(seeded(), 50)
    at_voxel = affine_ddf(matrices, (32, 32, 32))
    at_centre = affine_ddf(matrices, (32, 32, 32), "centre")
    # About voxel 0 that corner hardly moves and the far one by voxels; about the centre, the opposite corners alike.
    assert float(at_voxel[..., 0, 0, 0].abs().max()) < 0.2
    assert float(at_voxel[..., -1, -1, -1].abs().mean()) > 1
    assert 0.5 < float(at_centre[..., 0, 0, 0].abs().mean()) < 1.5


def test_image_and_labels_go_through_one_map():
    image = torch.rand(2, 1, 12, 14, 16, generator=seeded(1))
    labels = (torch.rand(2, 3, 12, 14, 16, generator=seeded(2)) > 0.5).float()
    moved, soft = augment([image, labels], seeded())
    again = augment([labels[:, 1:2], image], seeded())
    torch.testing.assert_close(again[0], soft[:, 1:2])
    torch.testing.assert_close(again[1], moved)
    assert not torch.allclose(moved, image, atol=0.01)
    # Subjects have maps of their own, and the next call has new ones.
    assert not torch.allclose(augment([image[:1].expand(2, -1, -1, -1, -1)], seeded())[0][0], moved[1], atol=0.01)
    generator = seeded()
    assert not torch.allclose(augment([image], generator)[0], augment([image], generator)[0], atol=0.01)


def test_no_corner_scale_changes_nothing():
    image = torch.rand(1, 1, 9, 8, 7)
    for origin in ("voxel_origin", "centre"):
        torch.testing.assert_close(augment([image], seeded(), 0.0, origin)[0], image, atol=1e-5, rtol=0)


def test_settings_that_do_not_fit():
    image = torch.rand(1, 1, 9, 8, 7)
    with pytest.raises(ValueError, match="differ in batch or size"):
        augment([image, image[..., :4]], seeded())
    with pytest.raises(ValueError, match="corner_scale"):
        random_affine(seeded(), 1, 3, 1.0)
    with pytest.raises(ValueError, match="voxel_origin or centre"):
        affine_ddf(random_affine(seeded(), 1), (4, 4, 4), "corner")
