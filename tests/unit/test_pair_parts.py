"""What a user can give by mistake, the scaling of intensities, the card of a network, and a command that loads no torch."""

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from PIL import Image

from reregister.card import INTENSITIES, describe_data, read_card
from reregister.cli import main
from reregister.data.scd import reading
from reregister.errors import ReregisterError
from reregister.pair.images import read_image
from reregister.pair.network import Network, compute_field, load_network, require_fit
from reregister.pair.nifti import fault_of
from reregister.pair.scaling import scale
from reregister.weights import build_model, list_modules, load_tensors, make_card, save_model, save_tensors
from tests.unit.dicom_bytes import dicom_bytes

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PARAMS = {"poolings": 2, "kernels": 4}
DATA = describe_data("scd", "percentiles", "mm", [(1.25, 1.25), (1.4, 1.3)], "border")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 200, shape).astype(np.int16)


def itk(path: Path, pixels: np.ndarray, direction=None, vector: bool = False) -> Path:
    image = sitk.GetImageFromArray(pixels, isVector=vector)
    if direction is not None:
        image.SetDirection(np.asarray(direction, float).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


def png(path: Path, picture: Image.Image) -> Path:
    picture.save(path, format="PNG")
    return path


def raw(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def save(folder: Path, data: dict | None = DATA) -> Path:
    torch.manual_seed(0)
    model = build_model("dirnet", {**PARAMS, "init_last": "glorot"})
    card = make_card(model, "dirnet", {**PARAMS, "init_last": "glorot"}, "0" * 64, "part all", (1, 64, 64), data)
    save_model(folder / "all.safetensors", folder / "all.card.md", model, card)
    return folder / "all.safetensors"


def with_nan(shape: tuple[int, ...], value: float) -> np.ndarray:
    pixels = noise(*shape).astype(np.float32)
    pixels[(2,) * len(shape)] = value
    return pixels


RGB = Image.fromarray(np.zeros((9, 9, 3), np.uint8))
REFUSED = {
    "missing": (lambda f: f / "none.nii", "is no file"),
    "folder": (lambda f: f, "is no file"),
    "unknown": (lambda f: raw(f / "a.jpg", b"\xff\xd8\xff" * 99), r"is of no known format; give \.nii"),
    "empty": (lambda f: raw(f / "a", b""), "is of no known format"),
    "broken NIfTI": (lambda f: raw(f / "a.nii.gz", b"no image"), "cannot be read by SimpleITK"),
    "NaN": (lambda f: itk(f / "a.nii", with_nan((9, 9), np.nan)), "pixels that are no finite numbers; mend"),
    "infinite": (lambda f: itk(f / "a.nii", with_nan((9, 9), np.inf)), "no finite numbers"),
    "NaN in MetaImage": (lambda f: itk(f / "a.mha", with_nan((9, 9), np.nan)), "no finite real numbers"),
    "NaN, packed": (lambda f: itk(f / "a.nii.gz", with_nan((3, 9, 9), np.nan).astype(float)), "no finite numbers"),
    "complex": (lambda f: itk(f / "a.nii", noise(9, 9).astype(np.complex64)), "no finite real numbers"),
    "vectors": (lambda f: itk(f / "a.nii", noise(9, 9, 2).astype(np.float32), vector=True), "has 2 values per pixel"),
    "time": (lambda f: itk(f / "a.nii", noise(4, 5, 9, 9)), "has 4 axes, 9 x 9 x 5 x 4; give one image"),
    "line": (lambda f: itk(f / "a.nii", noise(1, 1, 9)), "has 1 x 1 x 9 pixels, which leaves open its plane"),
    "narrow": (lambda f: itk(f / "a.nii", noise(2, 9)), "has 2 x 9 pixels; at least 3"),
    "thin": (lambda f: itk(f / "a.nii", noise(2, 9, 9)), "has 2 x 9 x 9 pixels; at least 3"),
    "sheared": (lambda f: itk(f / "a.mha", noise(9, 9), [[1, 0.5], [0, 1]]), "axes that are not at right angles"),
    "colour": (lambda f: png(f / "a.png", RGB), "is no plain grey picture but RGB; convert it to grey"),
    "palette": (lambda f: png(f / "a.png", RGB.convert("P")), "is no plain grey picture but P"),
    "alpha": (lambda f: png(f / "a.png", RGB.convert("LA")), "is no plain grey picture but LA"),
    "no PNG": (lambda f: raw(f / "a.png", b"GIF89a"), "cannot be read as PNG"),
    "broken DICOM": (lambda f: raw(f / "a.dcm", b"x" * 200), "is no DICOM file"),
    "no spacing": (lambda f: raw(f / "a.dcm", dicom_bytes(noise(9, 9), PixelSpacing=None)), "has no pixel spacing"),
    "orientation": (
        lambda f: raw(f / "a.dcm", dicom_bytes(noise(9, 9), ImageOrientationPatient=[1, 0, 0])),
        "has a broken ImageOrientationPatient",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_no_image_to_register_is_refused_in_one_sentence(tmp_path, capsys, case):
    make, message = case
    path, model = make(tmp_path), save(tmp_path)
    with pytest.raises(ReregisterError, match=message) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    good = itk(tmp_path / "good.nii", noise(64, 64))
    for pair in ([path, good], [good, path]):
        command = ["register", "--model", model, *pair, "--out", tmp_path / "out"]
        assert main([str(word) for word in command]) == 1
        assert capsys.readouterr().err == f"reregister: {caught.value}\n"
    assert not (tmp_path / "out").exists()


def test_truncated_png(tmp_path):
    path = png(tmp_path / "a.png", Image.fromarray(noise(64, 64).astype(np.uint8)))
    for length in (40, 400, 3000):
        raw(tmp_path / "b.png", path.read_bytes()[:length])
        with pytest.raises(ReregisterError, match=r"b\.png cannot be read as PNG"):
            read_image(tmp_path / "b.png")


@pytest.mark.parametrize("order", "<>")
def test_what_itk_passes_over_in_a_nifti(tmp_path, order):
    form = nibabel.Nifti1Image
    for kind in ("f4", "f8", "i2"):
        for name in ("a.nii", "b.nii.gz"):
            path, header = tmp_path / name, form.header_class(endianness=order)
            header.set_data_dtype(np.dtype(order + kind))
            pixels = noise(9, 11, 3).astype(order + kind)
            form(pixels, np.eye(4), header).to_filename(path)
            assert fault_of(path) == ""
            np.testing.assert_array_equal(read_image(path).pixels.T, pixels)
            content = path.read_bytes()
            # One byte is enough; of a packed file that is the last of its checksum.
            for length in (len(content) - 1, len(content) * 3 // 4):
                with pytest.raises(
                    ReregisterError, match=r"\.nii(\.gz)? is (damaged or )?cut off.*; mend or replace it"
                ):
                    read_image(raw(path, content[:length]))
            if kind != "i2":
                pixels[-1, -1, -1] = np.nan
                form(pixels, np.eye(4), header).to_filename(path)
                assert fault_of(path) == "has pixels that are no finite numbers"


def test_two_niftis_of_one_name(tmp_path):
    packed = itk(tmp_path / "a.nii.gz", noise(9, 9))
    np.testing.assert_array_equal(read_image(packed).pixels, noise(9, 9))
    plain = itk(tmp_path / "a.nii", noise(9, 9) + 1)
    np.testing.assert_array_equal(read_image(plain).pixels, noise(9, 9) + 1)
    # What SimpleITK makes of the packed one is the other.
    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(packed))) != noise(9, 9)).any()
    with pytest.raises(ReregisterError, match=r"a\.nii lies beside .*a\.nii\.gz and ITK mixes the two up"):
        read_image(packed)


def test_pictures_keep_their_values(tmp_path):
    for kind in (np.uint8, np.uint16):
        pixels = (noise(9, 12).astype(int) * (1 if kind is np.uint8 else 300)).astype(kind)
        image = read_image(png(tmp_path / "a.PNG", Image.fromarray(pixels)))
        assert image.pixels.dtype == kind
        np.testing.assert_array_equal(image.pixels, pixels)
        assert (image.grid.shape, image.grid.spacing, image.grid.unit) == ((9, 12), (1, 1), "px")
    bits = read_image(png(tmp_path / "b.png", Image.fromarray(noise(9, 9) > 100)))
    np.testing.assert_array_equal(bits.pixels, np.where(noise(9, 9) > 100, 255, 0))


ROTATION = np.array(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.5, 0.7).GetMatrix()).reshape(3, 3)


@pytest.mark.parametrize("oblique", [False, True])
def test_dicom_has_the_grid_that_simpleitk_gives_it(tmp_path, oblique):
    axes = [round(float(value), 6) for value in [*ROTATION[:, 0], *ROTATION[:, 1]]]
    geometry = {"ImageOrientationPatient": axes, "ImagePositionPatient": [16.2, -3.5, 144.1]} if oblique else {}
    content = dicom_bytes(noise(8, 12), **geometry)
    image = read_image(raw(tmp_path / "frame", content))
    theirs = sitk.ReadImage(str(raw(tmp_path / "a.dcm", content)))
    assert image.form == "DICOM"
    assert (image.grid.shape, image.pixels.dtype) == ((1, 8, 12), np.int16)
    np.testing.assert_array_equal(image.pixels, sitk.GetArrayFromImage(theirs))
    np.testing.assert_allclose(image.grid.spacing[::-1], theirs.GetSpacing())
    np.testing.assert_allclose(image.grid.origin, theirs.GetOrigin())
    np.testing.assert_allclose(image.grid.direction.ravel(), theirs.GetDirection(), atol=3e-6)
    assert any("no position and orientation of its own" in note for note in image.notes) != oblique


@pytest.mark.parametrize(
    ("slope", "intercept", "kind"), [("2", "-1024", np.int16), ("200", "0", np.uint16), ("0.5", "0", np.float32)]
)
def test_rescaled_dicom_gets_a_type_that_holds_it(tmp_path, slope, intercept, kind):
    content = dicom_bytes(noise(8, 12), RescaleSlope=slope, RescaleIntercept=intercept)
    image = read_image(raw(tmp_path / "a.dcm", content))
    assert image.pixels.dtype == kind
    np.testing.assert_allclose(image.pixels[0], noise(8, 12) * float(slope) + float(intercept))


def test_min_max_is_that_of_training():
    pixels = np.array([[3, 9], [5, 7]], np.uint8)
    found, ends = scale(pixels, "min_max", "a")
    np.testing.assert_allclose(found, [[0, 1], [1 / 3, 2 / 3]], rtol=1e-6)
    assert ends == (3, 9)
    assert not scale(np.full((4, 4), 7, np.uint8), "min_max", "a")[0].any()


def test_percentiles_are_those_of_training():
    pixels = np.random.default_rng(2).gamma(2, 80, (64, 64)).astype(np.float32)

    class Frame:
        """What the reader of SCD normalises: a slice of one frame."""

    frame = Frame()
    frame.pixels = pixels  # type: ignore[attr-defined]
    expected = reading.Reading._normalise(None, None, 0, {1: frame})[0]  # type: ignore[arg-type, dict-item]
    found, ends = scale(pixels, "percentiles", "a")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(ends, np.percentile(pixels, [1, 99]), rtol=1e-6)
    assert found.min() == 0
    assert found.max() == 1
    # Another gain and offset of the scanner is no other image.
    np.testing.assert_allclose(scale(3 * pixels + 70, "percentiles", "a")[0], found, atol=1e-5)


def test_bytes_are_those_of_training():
    pixels = noise(8, 8)
    np.testing.assert_array_equal(scale(pixels, "unit_range", "a")[0], pixels.astype(np.float32) / np.float32(255))
    for other in (pixels * 2, pixels - 1 - pixels.min(), pixels / 200):
        with pytest.raises(ReregisterError, match=r"a has intensities from .* trained on bytes, 0 to 255; scale"):
            scale(other, "unit_range", "a")
    with pytest.raises(ReregisterError, match="unknown intensities 'zscore'"):
        scale(pixels, "zscore", "a")


def test_card_says_what_the_training_images_were(tmp_path):
    path = save(tmp_path)
    expected = {
        "dataset": "scd",
        "intensities": "percentiles",
        "scaling": INTENSITIES["percentiles"],
        "unit": "mm",
        "spacing": [[1.25, 1.4], [1.25, 1.3]],
        "padding": "border",
    }
    assert read_card(tmp_path / "all.card.md")["data"] == load_tensors(path)[1]["data"] == expected
    for words in (("zscore", "mm", "border"), ("percentiles", "inch", "border"), ("percentiles", "mm", "wrap")):
        intensities, unit, padding = words
        with pytest.raises(ReregisterError, match=r"of scd is '(zscore|inch|wrap)'; give one of"):
            describe_data("scd", intensities, unit, [(1, 1)], padding)


def test_networks_that_cannot_be_used(tmp_path):
    path = save(tmp_path)
    assert load_network(path).ndim == 2
    beside = tmp_path / "all.card.md"
    text = beside.read_text(encoding="utf-8")
    beside.write_text(text.replace("0" * 64, "1" * 64), encoding="utf-8")
    with pytest.raises(ReregisterError, match=r"all\.card\.md is the card of other weights .* differs in recipe_id"):
        load_network(path)
    beside.unlink()
    with pytest.raises(ReregisterError, match=r"has no model card beside it; copy all\.card\.md there"):
        load_network(path)
    with pytest.raises(ReregisterError, match="does not say how the intensities of the training images were scaled"):
        load_network(save(tmp_path, None))
    with pytest.raises(ReregisterError, match="is no safetensors file"):
        load_network(raw(tmp_path / "a.safetensors", b"something"))
    with pytest.raises(ReregisterError, match="does not exist"):
        load_network(tmp_path / "none.safetensors")
    save_tensors(tmp_path / "c.safetensors", {"a": torch.zeros(3)}, {"step": 3})
    with pytest.raises(ReregisterError, match="holds no network, but something else that reregister saved"):
        load_network(tmp_path / "c.safetensors")
    header = load_tensors(save(tmp_path))[1]
    save_tensors(path, build_model("dirnet", {**PARAMS, "kernels": 5}).state_dict(), header)
    with pytest.raises(ReregisterError, match=r"does not fit dirnet .*size mismatch"):
        load_network(path)


def test_field_that_is_not_finite_is_refused(tmp_path):
    network = load_network(save(tmp_path))
    torch.nn.init.constant_(next(network.model.parameters()), float("nan"))
    image = np.ones((8, 8), np.float32)
    with pytest.raises(ReregisterError, match="values that are not finite"):
        compute_field(network, image, image, torch.device("cpu"))


def test_dense_layers_tell_their_features():
    params = {"poolings": 2, "kernels": 4, "head": "dense", "image_size": [48, 48], "nodes": 8}
    modules = list_modules(build_model("dirnet", params), (1, 48, 48))
    dense = [(m["inputs"], m["outputs"], m["kernel"], m["shape"]) for m in modules if m["type"] == "Linear"]
    # A grid of 12 x 12 control points, halved once before the first: 4 x 6 x 6 features.
    assert dense == [(144, 8, None, [8]), (8, 8, None, [8]), (8, 288, None, [288])]


def test_no_other_command_waits_for_torch():
    script = "import sys, reregister.cli as cli\ntry: cli.main(['register', '--help'])\nexcept SystemExit: pass\n"
    script += "cli.main(['progress', '.'])\nprint({'torch', 'SimpleITK', 'numpy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True, check=True
    )
    assert "--by-index" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


def test_cuda_where_there_is_none(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    good = str(itk(tmp_path / "good.nii", noise(64, 64)))
    command = ["register", "--model", str(save(tmp_path)), good, good, "--out", str(tmp_path / "o"), "--device", "cuda"]
    assert main(command) == 1
    assert "torch sees no GPU here" in capsys.readouterr().err


def test_a_volume_that_the_network_pads_by_itself_is_registered_and_told():
    torch.manual_seed(0)
    model = build_model("reduced_voxelmorph", {"permutation": "reduced"})
    torch.nn.init.normal_(model.flow.weight, 0, 0.3)
    network = Network(model.eval(), {"image_shape": [1, 8, 8, 8]})
    (note,) = require_fit(network, (9, 8, 7))
    assert note.startswith("images of 9 x 8 x 7 are padded with zeros at their far ends to 12 x 8 x 8")
    assert require_fit(network, (12, 8, 8)) == []
    moving, fixed = np.random.default_rng(0).random((2, 9, 8, 7), dtype=np.float32)
    by_hand = [np.pad(image, ((0, 3), (0, 0), (0, 1))) for image in (moving, fixed)]
    wanted = compute_field(network, *by_hand, torch.device("cpu"))[:, :9, :, :7]
    np.testing.assert_allclose(compute_field(network, moving, fixed, torch.device("cpu")), wanted, atol=1e-5)
