"""Settings of the process: device, threads, determinism, allocator."""

import platform
import warnings

import pytest
import torch

from reregister.errors import ReregisterError
from reregister.runtime import choose_device, choose_precision, computes_in_bf16, keep_freed_memory, torch_settings

CPU = torch.device("cpu")


def put() -> None:
    """An operator that has no deterministic form on any device."""
    torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))


def flags() -> tuple[bool, bool, int]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_num_threads(),
    )


def test_cpu_is_always_there():
    assert choose_device("cpu") == CPU


def test_auto_takes_a_gpu_where_there_is_one():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("found", "precision"), [({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")]
)
def test_auto_is_half_precision_where_the_processor_computes_in_it(monkeypatch, found, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True} | found)
    assert choose_precision("auto", CPU) == precision
    assert [choose_precision(name, CPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"]


def test_this_processor_is_as_its_flags_say():
    from reregister.provenance.surroundings import cpu

    assert computes_in_bf16(CPU) == bool({"avx512_bf16", "amx_bf16"} & set(cpu()["isa"]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu():
    with pytest.raises(ReregisterError, match="torch sees no GPU here; set device to auto or cpu"):
        choose_device("cuda")


def test_warn_lists_the_operators_and_lets_them_run():
    with torch_settings(1, "warn", CPU) as record:
        assert flags()[:2] == (True, True)
        for _ in range(3):
            put()
    assert record == {"mode": "warn", "warned": ["put_"]}


def test_nothing_warned():
    with torch_settings(1, "warn", CPU) as record:
        torch.ones(4).sum()
    assert record == {"mode": "warn", "warned": []}


def test_strict_raises_and_the_record_is_complete_all_the_same():
    with torch_settings(1, "strict", CPU):
        assert flags()[:2] == (True, False)
    with pytest.raises(RuntimeError, match="put_ does not have a determ"), torch_settings(1, "strict", CPU) as record:
        put()
    assert record == {"mode": "strict", "warned": []}


def fail() -> None:
    """Warn twice, of an operator and of something else, then fail."""
    put()
    warnings.warn("the last word", UserWarning, stacklevel=1)
    raise KeyError


def test_block_that_fails_still_says_and_names_what_warned():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(KeyError), torch_settings(1, "warn", CPU) as record:
            fail()
    assert [str(warning.message) for warning in caught] == ["the last word"]
    assert record == {"mode": "warn", "warned": ["put_"]}


def test_warnings_of_an_operator_do_not_pile_up():
    with warnings.catch_warnings(record=True) as kept:
        warnings.simplefilter("always")
        with torch_settings(1, "warn", CPU) as record:
            for _ in range(50):
                put()
    assert kept == []
    assert record["warned"] == ["put_"]


def test_other_warnings_are_said_again():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with torch_settings(1, "warn", CPU) as record:
            warnings.warn("something else", UserWarning, stacklevel=1)
            put()
    assert [(str(warning.message), warning.filename) for warning in caught] == [("something else", __file__)]
    assert record["warned"] == ["put_"]


def test_filters_of_other_warnings_stay():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with torch_settings(1, "warn", CPU) as record:
            put()
            with pytest.raises(UserWarning, match="fatal"):
                warnings.warn("fatal", UserWarning, stacklevel=1)
    assert record["warned"] == ["put_"]


@pytest.mark.parametrize(("enabled", "warn_only"), [(False, False), (True, False), (True, True)])
def test_none_leaves_the_flag_alone(enabled, warn_only):
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
    try:
        with torch_settings(1, "none", CPU) as record:
            assert flags()[:2] == (enabled, warn_only)
        assert record == {"mode": "none", "warned": []}
        assert flags()[:2] == (enabled, warn_only)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("mode", ["strict", "warn", "none"])
def test_nothing_leaks_out_of_the_block(mode):
    before, show = flags(), warnings.showwarning
    with torch_settings(before[2] + 1, mode, CPU):
        assert torch.get_num_threads() == before[2] + 1
    assert flags() == before
    with pytest.raises(KeyError), torch_settings(before[2] + 1, mode, CPU):
        raise KeyError
    assert flags() == before
    assert warnings.showwarning is show


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_glibc_takes_the_allocator_settings():
    assert keep_freed_memory() is True


def test_allocator_is_left_alone_elsewhere(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("the C library was called"))
    assert keep_freed_memory() is False
