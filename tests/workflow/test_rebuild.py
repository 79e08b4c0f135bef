"""One exhibit made again from the data: bit-identical, by the jobs that it needs and no others; and what breaks that."""

from .chain import needed, receipts_of
from .conftest import Workflow

CONFIG = ("--config", "scale=smoke")


def words_of(text: str) -> dict[str, str]:
    """The word of each job in the table, by the job."""
    rows = [line.split("  ", 1) for line in text.splitlines()[:-1] if not line.startswith(" ")]
    return {row[1].strip(): row[0].strip() for row in rows}


def test_an_exhibit_is_bit_identical_and_only_its_jobs_run(finished: Workflow) -> None:
    done = finished.reregister("rebuild", "figS1_grid_search", "--cores", "2", "--keep", *CONFIG)
    assert done.returncode == 0, done.stderr[-3000:]
    results = finished.folder / "results"
    chain = needed(receipts_of(results / "smoke"), "receipts/mnist_voxelmorph/plot_figure/figS1_grid_search.json")
    assert set(receipts_of(results / "smoke.rebuild")) == chain
    words = words_of(done.stdout)
    assert len(words) == len(chain)
    assert set(words.values()) == {"bit-identical"}
    assert "train_model" in {job.split()[0] for job in words}
    end = f"mnist_voxelmorph/figS1_grid_search: bit-identical ({len(chain)} jobs made again; "
    assert done.stdout.splitlines()[-1].startswith(end)


def test_a_flipped_byte_of_what_is_stored_is_found(finished: Workflow) -> None:
    images = finished.folder / "results" / "smoke" / "data" / "mnist" / "images.npy"
    content = bytearray(images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(content)
    done = finished.reregister("rebuild", "mnist_voxelmorph/tableS4_pairs", "--cores", "2", *CONFIG)
    assert done.returncode == 1, done.stderr[-3000:]
    assert {job for job, word in words_of(done.stdout).items() if word != "bit-identical"} == {
        "prepare_dataset data mnist"
    }
    assert "data/mnist/images.npy: in the run it was altered after its receipt was written" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("mnist_voxelmorph/tableS4_pairs: different (")


def test_what_is_no_exhibit_is_refused_with_the_names_of_those_that_are(finished: Workflow) -> None:
    done = finished.reregister("rebuild", "mnist_voxelmorph/fig9", *CONFIG)
    assert done.returncode == 2
    assert "there is no exhibit mnist_voxelmorph/fig9" in done.stderr
    assert "mnist_voxelmorph/tableS4_pairs" in done.stderr
