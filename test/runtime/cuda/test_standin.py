"""GPU artifacts through the CUDA device, with a driver that needs no GPU: it runs PTX on the emulator, records every
call, and fails where a test asks for it (standin/Standin.h).
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import conftest
import pytest

UNSUPPORTED, RESOURCES, BAD_ARTIFACT, DEVICE, INTERNAL = 4, 7, 8, 11, 70
BUILD = pathlib.Path(os.environ.get("QOPT_BUILD", pathlib.Path(__file__).resolve().parents[3] / "build"))
STANDIN = BUILD / "test/bin/libqopt_standin.so"
PROMPT = ("--prompt", "Once upon a time", "--max-tokens", 6, "--json")


@pytest.fixture(scope="module")
def compiled(tool, stories, tmp_path_factory):
    """compiled("sm_90a") is the model's artifact for an architecture, as PTX alone."""
    folder, made = tmp_path_factory.mktemp("standin"), {}

    def compile_once(arch):
        if arch not in made:
            made[arch] = folder / f"{arch}.qopt"
            options = ("--target", "cuda", "--arch", arch, "-o", made[arch])
            tool("qopt-compile", stories, *options, environment=conftest.NO_ASSEMBLER)
        return made[arch]

    return compile_once


def environment(settings="", **more):
    return {"QOPT_CUDA_DRIVER": str(STANDIN), "QOPT_STANDIN": settings, **more}


def test_the_engine(tool, compiled):
    """Every case of cuda-engine.cpp."""
    done = tool("cuda-engine", environment={**environment(), "QOPT_ARTIFACT": str(compiled("sm_90a"))}, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.parametrize(("arch", "capability"), [("sm_80", "8.0"), ("sm_80", "8.9"), ("sm_90a", "9.0")])
def test_text_equals_the_host(tool, compiled, stories_artifact, arch, capability):
    """A GPU of 8.9 allows a block fewer bytes than one of 8.0: kernels for sm_80 do with them."""
    expected = json.loads(tool("qopt-run", stories_artifact, *PROMPT).stdout)["tokens"]
    found = tool("qopt-run", compiled(arch), *PROMPT, environment=environment(f"capability={capability}"))
    assert json.loads(found.stdout)["tokens"] == expected


def test_every_schedule_gives_the_text(tool, compiled, stories_artifact):
    prompt = (*PROMPT[:2], "--max-tokens", "3", "--json")
    expected = json.loads(tool("qopt-run", stories_artifact, *prompt).stdout)["tokens"]
    found = tool("qopt-run", compiled("sm_90a"), *prompt, environment=environment("schedules=3"))
    assert json.loads(found.stdout)["tokens"] == expected


def test_slots_take_what_their_layer_keeps(tool, compiled, stories, tmp_path):
    """32 latest positions of one layer of five: of each sequence, and one more, keys and values of 4 heads of 8
    channels."""
    kept = tmp_path / "kept.qopt"
    words = ("--target", "cuda", "--kv-format", "cache.3.key=f16,recent=32", "-o", kept)
    tool("qopt-compile", stories, *words, environment=conftest.NO_ASSEMBLER)
    caches = []
    for artifact in (compiled("sm_90a"), kept):
        log = tmp_path / "calls"
        tool("qopt-run", artifact, *PROMPT, environment=environment(QOPT_STANDIN_LOG=str(log)))
        sizes = re.findall(r"cuMemAlloc_v2 bytes=(\d+)", log.read_text())
        caches.append(sorted(map(int, sizes)))
    added = [sum(sizes) for sizes in caches]
    assert added[1] - added[0] == 2 * 32 * 4 * 8 * 2 * 2


def test_every_call_is_paired(tool, compiled, tmp_path):
    log = tmp_path / "calls"
    tool("qopt-run", compiled("sm_90a"), *PROMPT, environment=environment(QOPT_STANDIN_LOG=str(log)))
    calls = [line.split()[0] for line in log.read_text().splitlines()]
    for made, released in (
        ("cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2"),
        ("cuMemAlloc_v2", "cuMemFree_v2"),
        ("cuMemAllocHost_v2", "cuMemFreeHost"),
        ("cuModuleLoadDataEx", "cuModuleUnload"),
        ("cuStreamCreate", "cuStreamDestroy_v2"),
        ("cuStreamBeginCapture_v2", "cuStreamEndCapture"),
        ("cuGraphInstantiateWithFlags", "cuGraphExecDestroy"),
    ):
        assert calls.count(made) == calls.count(released) > 0, made


@pytest.mark.parametrize(
    ("settings", "arch", "code", "message"),
    [
        ("version=12020", "sm_90a", UNSUPPORTED, "the CUDA driver is for CUDA 12.2; expected 12.3 or later: update"),
        ("devices=0", "sm_90a", UNSUPPORTED, "the CUDA driver does not start: cuInit failed: CUDA_ERROR_NO_DEVICE"),
        ("capability=7.5", "sm_80", UNSUPPORTED, "compute capability 7.5; expected 8.0 or later"),
        ("capability=8.6", "sm_90a", UNSUPPORTED, "kernels for sm_90a; the GPU (stand-in GPU) has compute capability"),
        (
            "capability=10.0",
            "sm_90a",
            UNSUPPORTED,
            "compile the model again with --arch sm_80, whose PTX runs on GPUs from 8.0 on",
        ),
        ("shared=20000", "sm_90a", UNSUPPORTED, "has 20000 for a block: compile the model again with --arch sm_80"),
        ("memory=200000", "sm_90a", RESOURCES, "the GPU (stand-in GPU) has 200.00 kB free and "),
        (
            "fail=cuModuleLoadDataEx:1:218",
            "sm_90a",
            BAD_ARTIFACT,
            "CUDA_ERROR_INVALID_PTX (as the test asked); compile",
        ),
        (
            "fail=cuModuleLoadDataEx:1:222",
            "sm_90a",
            UNSUPPORTED,
            "update the NVIDIA driver, or compile the model where",
        ),
        ("fail=cuLaunchKernelEx:30:701", "sm_90a", DEVICE, "cuLaunchKernelEx failed: CUDA_ERROR_LAUNCH_OUT_OF_RES"),
        ("fail=cuLaunchKernelEx:30:701", "sm_90a", DEVICE, "compile the model with --arch of this GPU"),
        ("fail=cuLaunchKernelEx:30:1", "sm_90a", INTERNAL, "cuLaunchKernelEx failed: CUDA_ERROR_INVALID_VALUE"),
        ("fault=30:700", "sm_90a", INTERNAL, "cuStreamSynchronize failed: CUDA_ERROR_ILLEGAL_ADDRESS"),
        (
            "fault=30:700",
            "sm_90a",
            INTERNAL,
            "defect of qopt, or the GPU is faulty: Xid 48, 79, 94 or 95 in the kernel log",
        ),
        ("fault=30:214", "sm_90a", DEVICE, "the GPU's memory is faulty: nvidia-smi -q -d ECC shows it"),
        ("fault=30:702", "sm_90a", DEVICE, "a kernel took longer than the GPU of a display may"),
        (
            "fault=30:719",
            "sm_90a",
            INTERNAL,
            "this process cannot use the GPU any more: start it again; either a kernel",
        ),
        ("fault=30:999", "sm_90a", DEVICE, "the kernel log (dmesg, Xid) says what the GPU did"),
        ("fail=cuDevicePrimaryCtxRetain:1:46", "sm_90a", DEVICE, "another process has the GPU for itself, or its"),
        ("fail=cuInit:1:802", "sm_90a", DEVICE, "does not start: cuInit failed: CUDA_ERROR_SYSTEM_NOT_READY"),
    ],
)
def test_errors(tool, compiled, settings, arch, code, message):
    """Each failure is one line that names what, expected and got, and has its exit code."""
    failed = tool("qopt-run", compiled(arch), *PROMPT, environment=environment(settings), check=False)
    assert (failed.returncode, failed.stdout) == (code, ""), failed.stderr
    assert message in failed.stderr
    assert len(failed.stderr.splitlines()) == 1 and failed.stderr.startswith("error: ")


IN_FLIGHT = (
    r"in flight were (\d+) launches, from the (launch of .+, kernel '.+'), to the (launch of .+, kernel '.+'): "
    r'the device "cuda,synchronous" tells which kernel failed$'
)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_failure_that_comes_late_names_what_was_in_flight(tool, compiled, tmp_path, step):
    """Launched one by one, recorded, and as a graph: the driver tells at the wait that a kernel failed. Where each
    launch is waited for, the message has that kernel alone."""
    log = tmp_path / "calls"
    prompt = ("--tokens", "1", "--max-tokens", 3, "--ignore-end", "--json")

    def run(settings, device="cuda"):
        command = (compiled("sm_90a"), *prompt, "--device", device)
        return tool("qopt-run", *command, environment=environment(settings, QOPT_STANDIN_LOG=str(log)), check=False)

    def launched():
        lines = [line.split() for line in log.read_text().splitlines()]
        return [line[1] for line in lines if line[0] == "cuLaunchKernelEx"]

    assert run("", "cuda,synchronous").returncode == 0
    kernels = launched()[: len(launched()) // 3]
    middle = (step - 1) * len(kernels) + len(kernels) // 2
    failed = run(f"fault={middle + 1}:700")
    count, first, last = re.search(IN_FLIGHT, failed.stderr).groups()
    assert int(count) == len(kernels)
    assert first.endswith(f"kernel '{kernels[0]}'") and last.endswith(f"kernel '{kernels[-1]}'")
    assert failed.stderr.count("kernel '") == 2
    failed = run(f"fault={middle + 1}:700", "cuda:0,synchronous")
    found = re.match(
        r"error: launch of .+, kernel '(.+)': cuStreamSynchronize failed: CUDA_ERROR_ILLEGAL", failed.stderr
    )
    assert found[1] == kernels[len(kernels) // 2] and "in flight" not in failed.stderr
    assert failed.returncode == INTERNAL


def test_machine_code_that_does_not_load_is_an_error(tool, stories, tmp_path):
    """The PTX beside it is not taken in silence: what a user measured would be other code than what was assembled."""
    summary = tool("qopt-compile", stories, "--target", "cuda", "--json", "-o", tmp_path / "m.qopt").stdout
    if any("PTX only" in warning for warning in json.loads(summary)["warnings"]):
        pytest.skip("there is no ptxas here")
    log = tmp_path / "calls"
    options = environment("fail=cuModuleLoadDataEx:1:200", QOPT_STANDIN_LOG=str(log))
    failed = tool("qopt-run", tmp_path / "m.qopt", *PROMPT, environment=options, check=False)
    assert failed.returncode == BAD_ARTIFACT
    assert "cubin for sm_90a: cuModuleLoadDataEx failed: CUDA_ERROR_INVALID_IMAGE" in failed.stderr
    loads = [line for line in log.read_text().splitlines() if line.startswith("cuModuleLoadDataEx")]
    assert loads == ["cuModuleLoadDataEx cubin result=200"]


def test_what_starts_early(tool, tmp_path):
    """The head's blocks read much and follow a launch of one block: they wait until it has ended, so that every SM gets
    one. All kernels divide an SM alike."""
    sizes = {"layers": 1, "hidden": 256, "heads": 4, "kv-heads": 2, "head-size": 64, "ffn": 256, "vocabulary": 32768}
    options = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    subprocess.run([sys.executable, str(conftest.SOURCE / "bench/synthetic.py"), str(tmp_path), *options], check=True)
    command = (tmp_path, "--target", "cuda", "-o", tmp_path / "m.qopt")
    tool("qopt-compile", *command, environment=conftest.NO_ASSEMBLER)
    log = environment("checks=0", QOPT_STANDIN_LOG=str(tmp_path / "calls"))
    tool("qopt-run", tmp_path / "m.qopt", "--tokens", "5", "--max-tokens", 1, "--ignore-end", environment=log)
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    launches = {call[1]: "early" in call for call in calls if call[0] == "cuLaunchKernelEx"}
    (head,) = [name for name in launches if "32768x256" in name and name.startswith("skinny_linear")]
    assert {name for name, early in launches.items() if not early} == {head}
    carved = [call for call in calls if call[:2] == ["cuFuncSetAttribute", "100"]]
    assert len(carved) >= len(launches)
