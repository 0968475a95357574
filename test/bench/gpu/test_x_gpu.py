"""./x gpu: what it does without a GPU, what it makes of what its programs print, and a pack made and unpacked here."""

import json
import os
import shutil
import subprocess
import sys

import conftest
import pytest

sys.path.insert(0, str(conftest.SOURCE / "bench"))
from gpu import catalog, folding, pack, report, run, sanitize  # noqa: E402

X = conftest.SOURCE / "x"
NO_DRIVER = {"QOPT_CUDA_DRIVER": "libqopt-no-such-driver.so", "QOPT_PYTHON": sys.executable}


def test_no_gpu():
    done = subprocess.run([X, "gpu"], capture_output=True, text=True, env={**os.environ, **NO_DRIVER})
    assert done.returncode == 1 and done.stderr.startswith("error: there is no CUDA driver here (")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("part", ["run", "pack"])
def test_help(part):
    environment = {**os.environ, **NO_DRIVER, "QOPT_PRESET": "dev"}
    done = subprocess.run([X, "gpu", part, "--help"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and f"./x gpu {'pack ' if part == 'pack' else ''}[-" in done.stdout


@pytest.mark.parametrize("module", ["run", "pack"])
def test_unknown_part(module):
    environment = {**os.environ, **NO_DRIVER, "PYTHONPATH": str(conftest.SOURCE / "bench")}
    command = [sys.executable, "-m", f"gpu.{module}", "--only", "bogus"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and 'no part "bogus"; expected some of ' in done.stderr


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("pack", ("--arch", "sm_70"), "invalid choice: 'sm_70'"),
        ("pack", ("--books", "/nonexistent"), 'there is no "/nonexistent"'),
        ("pack", ("--model", "/nonexistent.qopt"), 'there is no "/nonexistent.qopt"'),
        ("run", ("--seconds", "-3"), 'expected more than 0, got "-3"'),
    ],
)
def test_wrong_options(module, arguments, message, monkeypatch, capsys):
    """Before anything is made or looked for."""
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(SystemExit) as ended:
        {"pack": pack, "run": run}[module].main()
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_a_kernel_that_is_not_made(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(catalog, "CHECKS", [])
    monkeypatch.setattr(catalog, "entries", lambda: [catalog.Entry("k", "skinny_linear", "weights=int9", True)])
    output = tmp_path / "gpu.tar.xz"
    arguments = ["--build", str(conftest.BUILD), "--output", str(output), "--only", "kernels"]
    monkeypatch.setattr(sys, "argv", ["pack", *arguments])
    with pytest.raises(SystemExit, match="error: 1 kernels are not in "):
        pack.main()
    assert 'not made: k: error: weights: expected a format, got "int9"' in capsys.readouterr().err


def test_sanitizer_outcomes():
    """What compute-sanitizer prints, and what is made of it."""
    judged = {
        "========= ERROR SUMMARY: 0 errors": ("clean", 0),
        "========= ERROR SUMMARY: 3 errors": ("errors", 3),
        "========= RACECHECK SUMMARY: 2 hazards displayed (2 errors, 0 warnings)": ("errors", 2),
        "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)": ("clean", 0),
        "========= Error: Device not supported. Please refer to the documentation": ("unavailable", 0),
        "python3: not found": ("failed", 0),
    }
    for text, outcome in judged.items():
        assert sanitize.judge(text, 0) == outcome
    assert sanitize.judge("========= ERROR SUMMARY: 0 errors", 1) == ("failed", 0)


def row(name, what, seconds, **more):
    fields = {"name": name, "what": what, "bytes": 9_000_000, "flops": 1e9, "predicted": 3e-6, "alone": 2 * seconds}
    return {**fields, "problem": {"tokens": 1}, "error_of_bound": 0.5, "seconds": seconds, "peers": {}, **more}


def test_report(capsys):
    """Parts of the roof, ratios and figures; a peer that failed and a kernel that failed are said so."""
    gpu = {"name": "GPU", "multiprocessors": 132, "driver_cuda": "13.0"}
    roofs = {"name": "roofs", "what": "roofs", "gpu": gpu}
    roofs |= {"stream_bandwidth": 4.5e12, "copy_bandwidth": 4e12, "matrix_rate": 7e14}
    peers = {"cublas_bf16": 12e-6, "torch_int4": "RuntimeError: no"}
    rows = [
        roofs,
        row("o-int4_g128-m1", "skinny_linear", 4e-6, peers=peers),
        row("decode-b32-c4k-int4", "attention_decode", 80e-6),
        row("gemm-o-f16-m4096", "gemm", 20e-6, peers={"cublas_bf16": 10e-6}),
        row("gemm-qkv-f16-m4096", "gemm", 10e-6, peers={"cublas_bf16": 20e-6}),
        {"name": "qkv-int4_g128-m1", "error": "MismatchError: y [0]"},
    ]
    report.print_rows(rows)
    text = capsys.readouterr().out
    assert "| o-int4_g128-m1 | 4.0 | 8.0 | 50 % | 75 % | 0.50 | 12.0, 3.00 | RuntimeError: no |" in text
    assert "| skinny_linear int4_g128 M = 1, o: part of the roof | 50 % | 0.55 | 0.7 | no |" in text
    assert "| decode-b32-c4k-int4, µs | 80.0 | 70 | 36 | no |" in text
    assert "| gemm-*-f16-m4096 beside cublas_bf16, mean ratio | 1.00 | 0.6 | 0.95 | yes |" in text
    assert "predicted within 15 % of measured: 0 of 4 kernels; the farthest is decode-b32-c4k-int4" in text
    assert "qkv-int4_g128-m1: MismatchError: y [0]" in text


def test_step_figures():
    """The 8B model's speed and its ratio to PyTorch's loop of the same batch; other models are not asked about."""
    speeds = {"llama-3-8b, batch 1": 600, "torch.compile int4 8B, batch 1": 300, "books-int4, batch 1": 5000}
    steps = [{"name": name, "tokens_per_second": speed} for name, speed in speeds.items()]
    found = report.step_figures([*steps, {"name": "llama-3-8b, batch 16", "error": "no"}])
    assert [(f["value"], f["must"], f["met"]) for f in found] == [(600, 450, True), (2.0, 1.6, True)]


def test_rows_of_an_ended_process(tmp_path):
    """The last line of an entry counts; one that began and never ended is an error."""
    lines = [{"name": "a", "error": "the process ended"}, {"name": "a", "seconds": 1.0}, {"name": "b", "error": "x"}]
    (tmp_path / "rows").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert report.read_rows(tmp_path / "rows") == lines[1:]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A small pack of PTX alone, with the tools of this build in place of static ones."""
    folder = tmp_path_factory.mktemp("pack")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in conftest.NO_ASSEMBLER.items():
            patch.setenv(name, value)
        patch.setattr(pack, "MODELS", {"stories-kv-int8-int4": (["--kv", "int8,int4"], 8)})
        patch.setattr(catalog, "CHECKS", [catalog.CHECKS[0], catalog.CHECKS[-1]])
        patch.setattr(catalog, "entries", lambda: [catalog.Entry("k", "skinny_linear", "rows=64", True)])
        arguments = ["--build", str(conftest.BUILD), "--output", str(folder / "gpu.tar.xz"), "--only", "models,kernels"]
        patch.setattr(sys, "argv", ["pack", *arguments])
        pack.main()
    unpacked = run.unpack(folder / "gpu.tar.xz", folder / "unpacked")
    (unpacked / "bin").symlink_to(conftest.BUILD / "bin")
    (unpacked / "lib").mkdir()
    (unpacked / "lib/libqopt_runtime.so").symlink_to(conftest.BUILD / "lib/libqopt_runtime.so")
    return unpacked


def x_gpu(*arguments):
    """./x gpu with the driver that runs PTX on the emulator."""
    driver = str(conftest.BUILD / "test/bin/libqopt_standin.so")
    environment = {**os.environ, "QOPT_CUDA_DRIVER": driver, "QOPT_PYTHON": sys.executable}
    return subprocess.run([X, "gpu", *map(str, arguments)], capture_output=True, text=True, env=environment)


@conftest.UNSANITIZED
def test_tests(packed, tmp_path):
    """All that a GPU is asked: tokens of a model, of two sequences at once, launches."""
    done = x_gpu("--pack", packed, "--only", "tests", "--json", tmp_path / "results.json")
    assert done.returncode == 0 and "tests: 5 passed, 0 failed, 0 skipped" in done.stdout, done.stdout + done.stderr
    assert json.loads((tmp_path / "results.json").read_text())["gpu"]["name"] == "stand-in GPU"


@conftest.UNSANITIZED
def test_other_tokens(packed, tmp_path):
    """Tokens that are not the expected ones fail the whole command, and the test is named."""
    shutil.copytree(packed, tmp_path / "pack", symlinks=True)
    contents = json.loads((packed / "pack.json").read_text())
    contents["models"][0]["tokens"][0][0] += 1
    (tmp_path / "pack/pack.json").write_text(json.dumps(contents))
    done = x_gpu("--pack", tmp_path / "pack", "--only", "tests")
    assert done.returncode == 1 and "tests: 3 passed, 2 failed" in done.stdout
    assert "test_tokens[stories-kv-int8-int4]" in done.stdout


@conftest.UNSANITIZED
def test_sanitizers_that_are_not_here(packed):
    done = x_gpu("--pack", packed, "--only", "sanitizers")
    if shutil.which("compute-sanitizer"):
        pytest.skip("it is here")
    assert done.returncode == 0 and "| compute-sanitizer | all | unavailable |" in done.stdout


#: Runs what it is asked to watch, and finds nothing.
SANITIZER = """#!/bin/sh
while [ "$1" != --print-limit ]; do shift; done
shift 2
"$@"
status=$?
echo "========= ERROR SUMMARY: 0 errors"
exit $status
"""


@conftest.UNSANITIZED
def test_sanitizers_run_every_record(packed, tmp_path, monkeypatch):
    """Each tool launches all records and their results are compared: one that is wrong fails under all of them."""
    (tmp_path / "compute-sanitizer").write_text(SANITIZER)
    (tmp_path / "compute-sanitizer").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    shutil.copytree(packed / "checks", tmp_path / "pack/checks")
    (tmp_path / "pack/pack.json").write_text('{"models": []}')
    run = ("--pack", tmp_path / "pack", "--only", "sanitizers")
    done = x_gpu(*run)
    for tool in sanitize.TOOLS:
        assert f"| {tool} | kernels | clean | 0 |" in done.stdout, done.stdout
    (record,) = (tmp_path / "pack/checks").glob("*-sampling.json")
    fields = json.loads(record.read_text())
    fields["layout"]["seed"], fields["layout"]["index"] = fields["layout"]["index"], fields["layout"]["seed"]
    record.write_text(json.dumps(fields))
    assert x_gpu(*run).stdout.count("| kernels | failed |") == len(sanitize.TOOLS)


def test_folding(tmp_path):
    """A file of repeated blocks comes back byte by byte, also where its end is no whole block."""
    blocks = [os.urandom(folding.BLOCK) for _ in range(3)]
    data = b"".join(blocks[i % 3] for i in range(200)) + b"end"
    (tmp_path / "a").write_bytes(data)
    assert folding.fold(tmp_path / "a", tmp_path / "a.npz") < 0.05
    folding.unfold(tmp_path / "a.npz", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == data


def test_no_pack(tmp_path):
    with pytest.raises(SystemExit, match="there is no pack at"):
        run.unpack(tmp_path / "gpu.tar.xz", tmp_path)
