"""A user's own pair, registered: two other programs applying the field, every format, sizes, and nothing half-written."""

import json
import resource
from pathlib import Path

import ants
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from reregister.card import describe_data
from reregister.cli import main
from reregister.errors import ReregisterError
from reregister.metrics.jacobian import jacobian_statistics
from reregister.pair import files, register
from reregister.pair.network import Network, load_network
from reregister.pair.register import register_pair
from reregister.provenance.files import sha256_file
from reregister.transforms.fields import read_field
from reregister.transforms.warp import warp
from reregister.weights import build_model, make_card, save_model
from tests.unit.dicom_bytes import dicom_bytes

PARAMS = {"poolings": 2, "kernels": 4}
ROTATION = np.array(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.5, 0.7).GetMatrix()).reshape(3, 3)
TURN = np.array(sitk.Euler2DTransform((0, 0), 0.4).GetMatrix()).reshape(2, 2)
MIRRORED = TURN * (1, -1)
SPACING, ORIGIN = (8.0, 1.3, 0.7), (31.0, -20.0, 12.0)


def picture(seed: int, shape: tuple[int, ...], top: float = 255) -> np.ndarray:
    """Whole numbers from 0 to top with edges, so that a shift of a pixel is far more than one grey level."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2.5)
    return np.rint(top * np.clip(0.5 + noise / noise.std() / 2, 0, 1)).astype(np.int32)


def write_itk(path: Path, pixels: np.ndarray, direction=None, spacing=SPACING, origin=ORIGIN) -> Path:
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing(spacing[-pixels.ndim :][::-1])
    image.SetOrigin(origin[: pixels.ndim])
    image.SetDirection(np.asarray(np.eye(pixels.ndim) if direction is None else direction).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


def last_layer(model: torch.nn.Module) -> torch.nn.Module:
    return [part for part in model.modules() if isinstance(part, torch.nn.Conv2d | torch.nn.Linear)][-1]


def weights(
    folder: Path, amplitude: float = 6.0, rule: str = "percentiles", unit: str = "mm", padding: str = "border", **params
) -> Path:
    """A network that moves noise by up to amplitude pixels, with its card."""
    torch.manual_seed(1)
    arguments = {**PARAMS, "init_last": "glorot", **params}
    model = build_model("dirnet", arguments).eval()
    size = arguments.get("image_size", (48, 48))
    noise = torch.from_numpy(np.stack([picture(seed, tuple(size)) / 255 for seed in (1, 2)]).astype(np.float32))
    with torch.no_grad():
        largest = model(*noise[:, None, None]).norm(dim=1).max()
        last_layer(model).weight *= amplitude / largest
    data = describe_data("scd", rule, unit, [(1.3, 0.7)], padding)
    card = make_card(model, "dirnet", arguments, "ab" * 32, "dirnet, scd, part all, seed 0", (1, *size), data)
    path = folder / "all_seed0.safetensors"
    save_model(path, folder / "all_seed0.card.md", model, card)
    return path


def warped_in(out: Path) -> Path:
    return out / ("warped.png" if (out / "warped.png").exists() else "warped.nii.gz")


def unlike_shares(moving: Path, fixed: Path, out: Path) -> dict[str, float]:
    """Share of ALL pixels in which each program, applying the field to the user's files, is off by over one grey level."""
    ours = sitk.GetArrayFromImage(sitk.ReadImage(str(warped_in(out)))).astype(np.float64)
    images = sitk.ReadImage(str(moving)), sitk.ReadImage(str(fixed))
    field = sitk.DisplacementFieldTransform(sitk.ReadImage(str(out / "field.nii.gz"), sitk.sitkVectorFloat64))
    by_itk = sitk.GetArrayFromImage(sitk.Resample(*images, field, sitk.sitkLinear, 0.0, sitk.sitkFloat64))
    pair = (ants.image_read(str(fixed)), ants.image_read(str(moving)))
    by_ants = ants.apply_transforms(*pair, [str(out / "field.nii.gz")], interpolator="linear").numpy().T
    assert by_itk.shape == by_ants.shape == ours.shape
    return {"sitk": np.mean(np.abs(by_itk - ours) > 1), "ants": np.mean(np.abs(by_ants - ours) > 1)}


def require_agreement(moving: Path, fixed: Path, out: Path) -> None:
    shares = unlike_shares(moving, fixed, out)
    assert max(shares.values()) <= 0.001, shares


def planar(folder: Path, direction: np.ndarray) -> list[Path]:
    return [write_itk(folder / f"{n}.nii.gz", picture(n, (50, 38)).astype(np.int16), direction) for n in (1, 2)]


def slices(folder: Path) -> list[Path]:
    return [write_itk(folder / f"{n}.nii", picture(n, (50, 38))[None].astype(np.uint8), ROTATION) for n in (1, 2)]


def sagittal(folder: Path) -> list[Path]:
    made = [picture(n, (50, 38))[:, :, None].astype(np.uint16) for n in (1, 2)]
    return [write_itk(folder / f"{n}.mha", image, ROTATION, (0.7, 1.3, 8.0)) for n, image in enumerate(made)]


def pngs(folder: Path, kind: type = np.uint8, shape: tuple[int, int] = (45, 60)) -> list[Path]:
    paths = [folder / f"{n}.png" for n in (1, 2)]
    for n, path in enumerate(paths):
        Image.fromarray(picture(n, shape, 255 if kind is np.uint8 else 60000).astype(kind)).save(path)
    return paths


def dicoms(folder: Path, **attributes) -> list[Path]:
    geometry = {
        "ImageOrientationPatient": [round(float(v), 6) for v in [*ROTATION[:, 0], *ROTATION[:, 1]]],
        "ImagePositionPatient": [162.673, 35.6185, 144.459],
    }
    # The second has no suffix, as files from a scanner's disc.
    paths = [folder / "1.dcm", folder / "IM0002"]
    for n, path in enumerate(paths):
        path.write_bytes(dicom_bytes(picture(n, (64, 64), 900), n, **{**geometry, **attributes}))
    return paths


PAIRS = {
    "oblique NIfTI of a plane": lambda folder: planar(folder, TURN),
    "mirrored NIfTI of a plane": lambda folder: planar(folder, MIRRORED),
    "oblique slice in space": slices,
    "slice along another axis": sagittal,
    "PNG": pngs,
    "PNG of 16 bits": lambda folder: pngs(folder, np.uint16),
    "DICOM": dicoms,
}


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_other_programs_apply_the_field_to_the_users_files_and_get_our_image(tmp_path, make):
    moving, fixed = make(tmp_path)
    record, _ = register_pair(weights(tmp_path, 12.0), moving, fixed, tmp_path / "out")
    # The field is not a small one, and leads out of the image in places.
    assert record["field"]["largest_px"] > 5
    assert 0 < record["field"]["shortened_share"] < 0.5
    require_agreement(moving, fixed, tmp_path / "out")
    before = sitk.GetArrayFromImage(sitk.ReadImage(str(moving))).astype(float)
    after = sitk.GetArrayFromImage(sitk.ReadImage(str(warped_in(tmp_path / "out"))))
    assert np.mean(np.abs(after - before) > 1) > 0.3
    assert after.dtype == sitk.GetArrayFromImage(sitk.ReadImage(str(moving))).dtype


def test_real_frames(samples, tmp_path):
    series = samples / "scd" / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300"
    frames = sorted(series.glob("*.dcm"))
    if len(frames) < 60:
        pytest.skip("the folder of REREGISTER_SAMPLE_DATA has no whole series SCD0000101/CINESAX_300")
    model = weights(tmp_path, 10.0, poolings=4, kernels=16)
    moving, fixed = frames[40], frames[48]
    record, _ = register_pair(model, moving, fixed, tmp_path / "out")
    assert record["field"]["largest_px"] > 3
    require_agreement(moving, fixed, tmp_path / "out")
    ours, theirs = (sitk.ReadImage(str(path)) for path in (tmp_path / "out" / "warped.nii.gz", fixed))
    assert ours.GetPixelID() == theirs.GetPixelID()
    for get in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(ours, get)(), getattr(theirs, get)(), atol=2e-5)


def test_network_sees_scaled_images_and_moving_keeps_its_own_intensities(tmp_path):
    moving, fixed = pngs(tmp_path, shape=(44, 60))
    path = weights(tmp_path, rule="unit_range", unit="px")
    record, _ = register_pair(path, moving, fixed, tmp_path / "out")
    arrays = [np.asarray(Image.open(image)).astype(np.float32) for image in (moving, fixed)]
    model = load_network(path).model
    with torch.no_grad():
        ddf = model(*(torch.from_numpy(array / 255)[None, None] for array in arrays))
        expected = warp(torch.from_numpy(arrays[0])[None, None], ddf)[0, 0].numpy()
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "out" / "warped.png")), expected, atol=0.502)
    assert record["scaling"] == {"rule": "unit_range", "moving": [0, 255], "fixed": [0, 255]}
    assert record["field"]["fold_share"] == pytest.approx(jacobian_statistics(ddf[0].numpy())["fold_share"], abs=1e-3)
    assert record["field"]["largest_px"] == pytest.approx(float(ddf.norm(dim=1).max()), rel=1e-4)


def test_only_vectors_that_lead_out_are_shortened(tmp_path):
    moving, fixed = planar(tmp_path, TURN)
    model = weights(tmp_path, 12.0)
    record, _ = register_pair(model, moving, fixed, tmp_path / "out")
    field = read_field(tmp_path / "out" / "field.nii.gz").ddf
    grid = np.indices(field.shape[1:])
    points = grid + field
    ends = np.reshape(np.array(field.shape[1:]) - 1, (2, 1, 1))
    assert (points >= -1e-4).all()
    assert (points <= ends + 1e-4).all()
    at_edge = ((np.abs(points) < 1e-4) | (np.abs(points - ends) < 1e-4)).any(axis=0)
    assert record["field"]["shortened_share"] <= at_edge.mean()
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(moving))).astype(float)
    ours = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "warped.nii.gz")))
    np.testing.assert_allclose(ours, map_coordinates(pixels, points, order=1, mode="nearest"), atol=0.51)


def test_padding_is_said_and_cropped(tmp_path):
    moving, fixed = planar(tmp_path, TURN)
    record, _ = register_pair(weights(tmp_path), moving, fixed, tmp_path / "out")
    assert record["padded"]
    assert any("padded from 50 x 38 to 52 x 40" in note for note in record["notes"])
    assert read_field(tmp_path / "out" / "field.nii.gz").ddf.shape == (2, 50, 38)
    # The network's own result on images padded by hand.
    model = load_network(tmp_path / "all_seed0.safetensors").model
    pair = [sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(float) for path in (moving, fixed)]
    pair = [np.clip((p - np.percentile(p, 1)) / np.ptp(np.percentile(p, [1, 99])), 0, 1) for p in pair]
    pair = [torch.from_numpy(np.pad(p, ((0, 2), (0, 2)), mode="edge")).float()[None, None] for p in pair]
    with torch.no_grad():
        ddf = model(*pair)[0, :, :50, :38].numpy()
    grid = np.indices((50, 38))
    expected = np.clip(grid + ddf, 0, [[[49]], [[37]]]) - grid
    np.testing.assert_allclose(read_field(tmp_path / "out" / "field.nii.gz").ddf, expected, atol=1e-4)
    even = [write_itk(tmp_path / f"e{n}.nii.gz", picture(n, (48, 40)).astype(np.int16)) for n in (1, 2)]
    assert not register_pair(weights(tmp_path), *even, tmp_path / "even")[0]["padded"]


RESAMPLED = {
    "plane": ((70, 64), TURN, (8.0, 0.9, 0.55), (25.0, -16.0, 0.0), (50, 38), np.eye(2), (31.0, -20.0, 0.0)),
    "slice": ((1, 90, 64), ROTATION, (8.0, 0.9, 0.55), ORIGIN, (1, 50, 38), ROTATION, ORIGIN),
    "volume": ((9, 60, 70), ROTATION, (4.0, 1.1, 0.7), (30.0, -35.0, 0.0), (1, 50, 38), np.eye(3), (31.0, -20.0, 12.0)),
}


@pytest.mark.parametrize("case", RESAMPLED.values(), ids=RESAMPLED)
def test_unlike_grids_are_resampled_by_geometry_in_one_interpolation(tmp_path, case):
    shape, direction, spacing, origin, size, axes, start = case
    moving = write_itk(tmp_path / "m.nii.gz", picture(1, shape).astype(np.int16), direction, spacing, origin)
    fixed = write_itk(tmp_path / "f.nii.gz", picture(2, size).astype(np.int16), axes, SPACING, start)
    with pytest.raises(
        ReregisterError, match=r"moving has .* but fixed 50 x 38 pixels of 1.3 x 0.7 mm; give --resample"
    ):
        register_pair(weights(tmp_path), moving, fixed, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    record, _ = register_pair(weights(tmp_path), moving, fixed, tmp_path / "out", resample=True)
    assert record["resampled"]
    assert record["matched"] == "by place"
    assert any("was resampled onto fixed's grid" in note for note in record["notes"])
    require_agreement(moving, fixed, tmp_path / "out")


def test_resampled_moving_is_what_simpleitk_resamples(tmp_path):
    moving = write_itk(tmp_path / "m.nii.gz", picture(1, (70, 64)).astype(np.int16), TURN, (8.0, 0.9, 0.7))
    fixed = write_itk(tmp_path / "f.nii.gz", picture(2, (50, 38)).astype(np.int16))
    still = weights(tmp_path, 0.0)
    register_pair(still, moving, fixed, tmp_path / "out", resample=True)
    images = sitk.ReadImage(str(moving), sitk.sitkFloat64), sitk.ReadImage(str(fixed))
    expected = sitk.GetArrayFromImage(sitk.Resample(*images, sitk.Transform(), sitk.sitkLinear, -1000.0))
    warped = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "warped.nii.gz")))
    inside = expected > -1000
    assert 0.2 < inside.mean() < 1
    np.testing.assert_allclose(warped[inside], expected[inside], atol=0.51)
    share = json.loads((tmp_path / "out" / "register.json").read_text(encoding="utf-8"))["field"]["shortened_share"]
    # Half a pixel beyond the last centre SimpleITK takes for inside, and a field for outside.
    assert 0 <= share - (1 - inside.mean()) < 0.05


def test_unlike_places_need_a_word(tmp_path):
    model = weights(tmp_path)
    moving = write_itk(tmp_path / "m.nii", picture(1, (50, 38))[None].astype(np.int16), ROTATION)
    above = np.add(ORIGIN, 8 * ROTATION[:, 2])
    fixed = write_itk(tmp_path / "f.nii", picture(2, (50, 38))[None].astype(np.int16), ROTATION, origin=above)
    with pytest.raises(ReregisterError, match=r"lie at different places, .*origin \(31 -20 12\).*--by-index"):
        register_pair(model, moving, fixed, tmp_path / "out")
    with pytest.raises(ReregisterError, match=r"fixed leaves the plane of moving by up to 8 mm"):
        register_pair(model, moving, fixed, tmp_path / "out", resample=True)
    record, _ = register_pair(model, moving, fixed, tmp_path / "out", by_index=True)
    assert record["matched"] == "by index"
    # The field leads from the one slice to the other.
    require_agreement(moving, fixed, tmp_path / "out")
    far = write_itk(tmp_path / "far.nii", picture(2, (50, 38))[None].astype(np.int16), ROTATION)
    image = sitk.ReadImage(str(far))
    image.SetOrigin(image.TransformIndexToPhysicalPoint((500, 0, 0)))
    sitk.WriteImage(image, str(far))
    with pytest.raises(ReregisterError, match="share no place in space"):
        register_pair(model, moving, far, tmp_path / "none", resample=True)
    larger = write_itk(tmp_path / "l.nii", picture(2, (60, 38))[None].astype(np.int16), ROTATION)
    with pytest.raises(ReregisterError, match="no --by-index is possible"):
        register_pair(model, moving, larger, tmp_path / "none", by_index=True)


def test_images_of_two_kinds_are_refused(tmp_path):
    model = weights(tmp_path)
    png, nifti, slice_ = pngs(tmp_path, shape=(50, 38))[0], *(planar(tmp_path, TURN)[0], tmp_path / "s.nii")
    write_itk(slice_, picture(1, (50, 38))[None].astype(np.int16))
    with pytest.raises(ReregisterError, match=r"50 x 38 pixels of 1 x 1 px but fixed 50 x 38 pixels of 1.3 x 0.7 mm"):
        register_pair(model, png, nifti, tmp_path / "out", resample=True)
    with pytest.raises(ReregisterError, match=r"moving has 3 axes, .* but fixed 2 axes"):
        register_pair(model, slice_, nifti, tmp_path / "out", resample=True)
    volume = write_itk(tmp_path / "v.nii", picture(1, (8, 50, 38)).astype(np.int16))
    with pytest.raises(ReregisterError, match=r"have 3 dimensions, 8 x 50 x 38, but the network was trained on 2-D"):
        register_pair(model, volume, volume, tmp_path / "out")


def test_pngs_of_unlike_size(tmp_path):
    model = weights(tmp_path)
    moving, fixed = pngs(tmp_path, shape=(60, 40))[0], tmp_path / "small.png"
    Image.fromarray(picture(3, (44, 52)).astype(np.uint8)).save(fixed)
    with pytest.raises(ReregisterError, match=r"moving has 60 x 40 pixels of 1 x 1 px but fixed 44 x 52 pixels"):
        register_pair(model, moving, fixed, tmp_path / "out")
    record, _ = register_pair(model, moving, fixed, tmp_path / "out", resample=True)
    assert any("pixel on pixel from the first, as PNGs have no place" in note for note in record["notes"])
    assert any("23.1 % of fixed's pixels lie outside of moving" in note for note in record["notes"])
    require_agreement(moving, fixed, tmp_path / "out")


def test_dense_network_takes_one_size(tmp_path):
    model = weights(tmp_path, head="dense", image_size=[48, 48], nodes=8)
    moving, fixed = (write_itk(tmp_path / f"{n}.mha", picture(n, (48, 48)).astype(np.int16)) for n in (1, 2))
    register_pair(model, moving, fixed, tmp_path / "out")
    other = planar(tmp_path, TURN)
    with pytest.raises(ReregisterError, match=r"the images have 50 x 38 pixels, but this network takes 48 x 48"):
        register_pair(model, *other, tmp_path / "other")


class Swirl(torch.nn.Module):
    """A smooth 3-D field of several voxels that depends on the images; sides must be multiples of 8."""

    stride = 8

    def forward(self, moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
        assert all(side % 8 == 0 for side in moving.shape[2:])
        waves = [torch.sin(torch.arange(side) / 9.0) for side in moving.shape[2:]]
        wave = waves[0][:, None, None] + waves[1][:, None] + waves[2]
        return torch.stack([4 * wave, -3 * wave, 5 * wave.flip(0)])[None] * (1 + fixed.mean() - moving.mean())


def test_volumes_take_the_same_road(tmp_path, monkeypatch):
    data = describe_data("ibsr", "percentiles", "mm", [(8.0, 1.3, 0.7)], "border")
    card = {"architecture": "swirl", "params": {}, "trained_on": "", "recipe_id": "0", "data": data}
    network = Network(Swirl(), {**card, "image_shape": [1, 16, 24, 24]})
    monkeypatch.setattr(register, "load_network", lambda path: network)
    moving, fixed = (
        write_itk(tmp_path / f"{n}.nii.gz", picture(n, (20, 26, 33)).astype(np.int16), ROTATION) for n in (1, 2)
    )
    (tmp_path / "model").write_text("")
    record, _ = register_pair(tmp_path / "model", moving, fixed, tmp_path / "out")
    assert record["padded"]
    assert record["field"]["largest_mm"] > 8
    assert read_field(tmp_path / "out" / "field.nii.gz").ddf.shape == (3, 20, 26, 33)
    require_agreement(moving, fixed, tmp_path / "out")


def test_zeros_outside_stay_zeros(tmp_path):
    moving = write_itk(tmp_path / "1.nii", np.full((48, 48), 100, np.int16) + picture(1, (48, 48), 9).astype(np.int16))
    fixed = write_itk(tmp_path / "2.nii", picture(2, (48, 48)).astype(np.int16))
    record, _ = register_pair(weights(tmp_path, 20.0, padding="zeros"), moving, fixed, tmp_path / "out")
    field = read_field(tmp_path / "out" / "field.nii.gz").ddf
    points = np.indices((48, 48)) + field
    outside = ((points <= -1) | (points >= 48)).any(axis=0)
    inside = ((points >= 0) & (points <= 47)).all(axis=0)
    warped = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "warped.nii.gz")))
    assert outside.any()
    assert (warped[outside] == 0).all()
    assert warped[inside].min() >= 100
    assert record["field"]["shortened_share"] == 0


def test_record_says_what_was_done_and_bytes_repeat(tmp_path):
    moving, fixed = dicoms(tmp_path)
    model = weights(tmp_path)
    record, paths = register_pair(model, moving, fixed, tmp_path / "a")
    register_pair(model, moving, fixed, tmp_path / "b")
    names = ["field.nii.gz", "register.json", "warped.nii.gz"]
    assert sorted(path.name for path in paths) == sorted(path.name for path in (tmp_path / "a").iterdir()) == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    written = json.loads((tmp_path / "a" / "register.json").read_text(encoding="utf-8"))
    assert {key: value for key, value in written.items() if key != "files"} == json.loads(json.dumps(record))
    assert written["files"] == {name: sha256_file(tmp_path / "a" / name) for name in names if name != "register.json"}
    for key, path in (("model", model), ("moving", moving), ("fixed", fixed)):
        assert written[key]["sha256"] == sha256_file(path)
    assert written["model"]["recipe_id"] == "ab" * 32
    assert written["model"]["trained_on"] == "dirnet, scd, part all, seed 0"
    assert any("as NIfTI with the place that DICOM states" in note for note in written["notes"])
    assert any("holds three slices alike" in note for note in written["notes"])
    assert read_field(tmp_path / "a" / "field.nii.gz").ddf.shape == (3, 3, 64, 64)
    assert any("trained on pixels of 1.3 x 0.7 mm" in note for note in written["notes"])


def test_constant_image_is_said(tmp_path):
    flat = write_itk(tmp_path / "c.nii", np.full((48, 48), 7, np.int16))
    spots = np.zeros((48, 48), np.int16)
    spots[3, 4] = 9
    few = write_itk(tmp_path / "few.nii", spots)
    record, _ = register_pair(weights(tmp_path), flat, few, tmp_path / "out")
    assert any("c.nii is of one grey value throughout" in note for note in record["notes"])
    assert any("few.nii are one value, 0, so the network saw an empty image" in note for note in record["notes"])
    warped = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "warped.nii.gz")))
    assert (warped == 7).all()


def test_nothing_is_written_over_without_force(tmp_path):
    model, pair = weights(tmp_path), planar(tmp_path, TURN)
    register_pair(model, *pair, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ReregisterError, match=r"field\.nii\.gz exists already; .* --force"):
        register_pair(model, *pair[::-1], tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    # What an earlier call left in another form goes too, or it would pass for this pair's.
    register_pair(model, *pngs(tmp_path), tmp_path / "out", force=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"field.nii.gz", "warped.png", "register.json"}
    with pytest.raises(ReregisterError, match="is an input and would be written over"):
        register_pair(model, tmp_path / "out" / "warped.png", tmp_path / "1.png", tmp_path / "out", force=True)
    # ITK reads an unpacked file of the same name, here that of the earlier pair.
    (tmp_path / "out" / "field.nii").write_bytes(b"")
    with pytest.raises(ReregisterError, match=r"field\.nii would be read by ITK in place of the packed file"):
        register_pair(model, *pair, tmp_path / "out", force=True)
    with pytest.raises(ReregisterError, match="is a file; give --out a folder"):
        register_pair(model, *pair, model)
    (tmp_path / "folders" / "register.json").mkdir(parents=True)
    with pytest.raises(ReregisterError, match=r"register\.json is a folder"):
        register_pair(model, *pair, tmp_path / "folders", force=True)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("limit", [0, 3000, 12_000])
def test_full_disk_leaves_nothing_half_written(tmp_path, limit, there):
    model = weights(tmp_path)
    pair = [write_itk(tmp_path / f"{n}.nii", picture(n, (48, 48)).astype(np.int16)) for n in (1, 2)]
    before = {}
    if there:
        register_pair(model, *pair, tmp_path / "out")
        before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(ReregisterError, match="takes no files"):
            register_pair(model, *pair[::-1], tmp_path / "out", force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path: path.read_bytes() for path in (tmp_path / "out").glob("*")} == before
    assert (tmp_path / "out").exists() == there


def test_error_at_the_last_file_leaves_nothing(tmp_path, monkeypatch):
    def full(path: Path, value: dict) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_json", full)
    with pytest.raises(ReregisterError, match=r"out takes no files \(.*No space left on device"):
        register_pair(weights(tmp_path), *planar(tmp_path, TURN), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command(tmp_path, capsys):
    model, pair = weights(tmp_path), [str(path) for path in planar(tmp_path, TURN)]
    out = tmp_path / "new" / "out"
    command = ["register", "--model", str(model), *pair, "--out", str(out), "--device", "cpu"]
    assert main(command) == 0
    said = capsys.readouterr().out
    record = json.loads((out / "register.json").read_text(encoding="utf-8"))
    assert all(note in said for note in record["notes"])
    assert f"wrote {out / 'field.nii.gz'}" in said
    assert "largest displacement" in said
    assert main(command) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*command, "--force"]) == 0
    with pytest.raises(SystemExit):
        main([*command, "--resample", "--by-index"])
