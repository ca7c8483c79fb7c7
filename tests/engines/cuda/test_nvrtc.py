"""The kernel compiles for every GPU that it is meant for; none is needed."""

from __future__ import annotations

import json

import pytest

from engines.cuda import nvrtc
from engines.cuda.nvrtc import CUBIN, DISTRIBUTIONS, Resources, compiled, program_key, resources_of
from engines.preprocess.__main__ import CAPABILITIES, main
from engines.preprocess.device import pack, program_for
from engines.preprocess.kernel import TYPES
from export.errors import CellError, Unavailable
from export.store import Store


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Store:
    try:
        nvrtc.capabilities()
    except Unavailable as error:
        pytest.skip(str(error))
    return Store(tmp_path_factory.mktemp("cubins"))


@pytest.mark.parametrize("capability", CAPABILITIES.split(","))
def test_it_compiles_without_spilling(shelf: Store, capability: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = program_for(capability, shelf)
    assert made.cubin.startswith(b"\x7fELF")
    assert set(made.resources) == {"tabulate", *(f"{f}_to_{t}" for f in ("rgb", "nv12") for t in TYPES)}
    for name, found in made.resources.items():
        assert found.spilled_bytes == 0, name
        assert 0 < found.registers <= 80
        assert found.shared_bytes in (0, 8192, 9216)  # from 9.0 on the driver keeps 1 KiB for itself
    worst = max((found for name, found in made.resources.items() if name != "tabulate"), key=lambda r: r.registers)
    with capsys.disabled():
        print(f"\nsm_{capability.replace('.', '')}: at most {worst}")


def test_it_is_kept_by_source_and_capability(shelf: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = program_for("8.6", shelf)

    def never(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(nvrtc, "_compiled", never)
    assert program_for("8.6", shelf) == first
    with pytest.raises(AssertionError):
        compiled('extern "C" __global__ void other() {}', "other.cu", "8.6", shelf)


def test_the_key_needs_no_compiler_and_holds_what_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "library", None)
    keys = [
        program_key("a", "8.7", 12),
        program_key("b", "8.7", 12),
        program_key("a", "8.6", 12),
        program_key("a", "8.7"),
    ]
    assert len(set(keys)) == 4


def test_code_of_cuda_12_has_the_format_that_its_drivers_load(shelf: Store) -> None:
    """What JetPack 6 needs: its driver is of CUDA 12.6."""
    try:
        nvrtc.library(12)
    except Unavailable as error:
        pytest.skip(str(error))
    formats = {cuda: pack("8.7", shelf, cuda).file(CUBIN).read_bytes()[7:9] for cuda in DISTRIBUTIONS}
    assert formats == {12: bytes([51, 7]), 13: bytes([65, 8])}  # the ELF header's OS ABI and its version
    made = nvrtc.Program.of(pack("8.7", shelf, 12))
    assert all(found.spilled_bytes == 0 for found in made.resources.values())
    assert len(made.resources) == 11


def test_thor_has_another_name_in_cuda_12(shelf: Store) -> None:
    with pytest.raises(CellError, match=r"NVRTC of CUDA 13 does not compile for compute capability 10\.1") as failure:
        pack("10.1", shelf)
    assert "11.0" in failure.value.why


def test_a_missing_nvrtc_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DISTRIBUTIONS, 99, "nvidia-cuda-nvrtc-cu99")
    with pytest.raises(Unavailable, match=r"NVRTC of CUDA 99 is not installed\.") as failure:
        nvrtc.library(99)
    assert failure.value.remedy == "pip install nvidia-cuda-nvrtc-cu99"


def test_the_table(shelf: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--capabilities", "8.6", "--store", str(shelf.root)]) == 0
    assert "| 8.6 | `rgb_to_float16` |" in capsys.readouterr().out
    main(["--capabilities", "8.6", "--store", str(shelf.root), "--json"])
    assert len(json.loads(capsys.readouterr().out)) == 11


def test_what_cannot_be_compiled_gets_a_sentence(shelf: Store) -> None:
    with pytest.raises(CellError, match="compute capability") as failure:
        program_for("5.2", shelf)
    assert "8.6" in failure.value.why
    with pytest.raises(CellError, match="does not compile") as failure:
        compiled("int f( {", "wrong.cu", "8.6", shelf)
    assert "wrong.cu(1)" in failure.value.why


def test_the_assemblers_words() -> None:
    log = """
ptxas info    : Compiling entry function 'one' for 'sm_75'
ptxas         .     8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 80 registers, used 1 barriers, 8192 bytes smem, 480 bytes cmem[0]
ptxas info    : Compiling entry function 'two' for 'sm_75'
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 55 registers, 480 bytes cmem[0]
"""
    assert resources_of(log) == {"one": Resources(80, 8192, 12), "two": Resources(55, 0, 0)}
