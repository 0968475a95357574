"""The text of a stage leads to the next one: qopt-opt and qopt-translate make of it what qopt-compile --emit prints."""

import pytest

BAD_MODEL = 3
UNTIL_GPU = "--qopt-cuda-schedule-stage --qopt-cuda-lower-stage"


@pytest.fixture(scope="module", params=["decoder", "graph"])
def emitted(request, tool, stories, tmp_path_factory):
    """The text of a stage of stories260k, compiled as a decoder or as a graph, and the file that has it."""
    folder = tmp_path_factory.mktemp(request.param)

    def emit(stage, *target):
        file = folder / ("-".join(target).strip("-") + stage)
        if not file.exists():
            file.write_text(tool("qopt-compile", stories, "--as", request.param, "--emit", stage, *target).stdout)
        return file

    emit.as_ = request.param
    return emit


def test_gpu(tool, emitted, tmp_path):
    target = ("--target", "cuda")

    def file_of(text):
        (tmp_path / "read.mlir").write_text(text)
        return tmp_path / "read.mlir"

    for before, stage, pipeline in (
        ("quantized", "fused", "qopt-cuda-fuse-stage"),
        ("fused", "scheduled", "qopt-cuda-schedule-stage"),
    ):
        assert tool("qopt-opt", f"--{pipeline}", emitted(before, *target)).stdout == emitted(stage, *target).read_text()
    lowered = tool("qopt-opt", "--qopt-cuda-lower-stage", emitted("scheduled", *target)).stdout
    gpu = tool("qopt-translate", "--qopt-to-gpu", file_of(lowered)).stdout
    assert gpu == emitted("gpu", *target).read_text()
    assert ("@generic_kernel_0(" in gpu) == (emitted.as_ == "graph")
    assert tool("qopt-translate", "--qopt-to-ptx", file_of(gpu)).stdout == emitted("ptx", *target).read_text()


def test_host(tool, emitted):
    for before, stage, pipeline in (
        ("qopt", "quantized", "qopt-quantize-stage"),
        ("quantized", "fused", "qopt-fuse-stage"),
        ("fused", "scheduled", "qopt-schedule-stage"),
        ("scheduled", "kernels", "qopt-lower-stage"),
    ):
        assert tool("qopt-opt", f"--{pipeline}", emitted(before)).stdout == emitted(stage).read_text()


def test_other_stages(tool, emitted):
    """One error that says which stage is expected and how it is made."""
    for stage in ("quantized", "fused", "scheduled"):
        done = tool("qopt-translate", "--qopt-to-ptx", emitted(stage, "--target", "cuda"), check=False)
        assert done.returncode == BAD_MODEL and not done.stdout
        assert "expects the stage gpu, which qopt-compile --emit gpu prints" in done.stderr
        assert f"qopt-opt {UNTIL_GPU} and then qopt-translate --qopt-to-gpu make of the stage fused" in done.stderr
    for stage, why in (("fused", "no kernels could be made of"), ("gpu", "is not one function")):
        done = tool("qopt-translate", "--qopt-to-gpu", emitted(stage, "--target", "cuda"), check=False)
        assert done.returncode != 0 and not done.stdout and why in done.stderr
        assert "--qopt-to-gpu expects what qopt-opt --qopt-cuda-lower-stage makes of the stage scheduled" in done.stderr
