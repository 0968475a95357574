"""Random programs agree with the reference, the same in every run; a difference is found, made small and told as
text."""

import pathlib
import re

import pytest

INPUTS = sorted((pathlib.Path(__file__).parent / "Inputs").glob("*.mlir"))


def programs_of(text):
    return int(re.search(r": (\d+) programs, ", text).group(1))


@pytest.mark.parametrize(("target", "count"), [("host", 100), ("cuda", 3)])
def test_agree(tool, tmp_path, monkeypatch, target, count):
    """Within bounds that are tight: those of half of the runs are, on average, below 3 % of the largest number."""
    monkeypatch.chdir(tmp_path)
    done = tool("qopt-random", "--target", target, "--count", count, check=False)
    assert done.returncode == 0, done.stderr
    assert programs_of(done.stdout) == count and " 0 wrong;" in done.stdout, done.stdout
    assert float(re.search(r"median ([\d.e+-]+)", done.stdout).group(1)) < 0.03, done.stdout


@pytest.mark.parametrize("program", INPUTS, ids=[path.stem for path in INPUTS])
def test_what_was_found(tool, program):
    """Programs, made small, that did not compile or gave wrong numbers."""
    assert "runs agree" in tool("qopt-random", program).stdout


def test_a_difference_is_made_small(tool, tmp_path, monkeypatch):
    """With bounds of a thousandth of what rounding takes every program differs."""
    monkeypatch.chdir(tmp_path)
    slack = ("--slack", 1e-3)
    done = tool("qopt-random", "--count", 1, "--seed", 5, *slack, check=False)
    assert done.returncode == 1 and " 1 wrong;" in done.stdout, done.stdout
    found = re.search(r"expected \S+ within \S+\n  (\d+) nodes in (\S+): .*expected", done.stderr)
    assert found, done.stderr
    whole = tool("qopt-random", "--count", 1, "--seed", 5, "--print").stdout
    small = (tmp_path / found.group(2)).read_text()
    assert whole.count(" = qopt.") > small.count(" = qopt.") and len(small) < len(whole)
    assert tool("qopt-random", found.group(2), *slack, check=False).returncode == 1
    assert "runs agree" in tool("qopt-random", found.group(2)).stdout


PROGRAM = """module attributes {{random.options = [{options}], random.runs = [[3]], random.seed = 1 : i64}} {{
  func.func @graph(%x: tensor<?x4xf32> {{onnx.dims = ["n", 4], qopt.name = "x"}}) -> (tensor<?x4xf32> {{qopt.name = "y"}}) {{
    %y = {operation} : {type}
    return %y : tensor<?x4xf32>
  }}
}}
"""


def test_a_program_of_ones_own(tool, tmp_path):
    text = PROGRAM.format(options="", operation="qopt.activation silu %x", type="tensor<?x4xf32> -> tensor<?x4xf32>")
    (tmp_path / "p.mlir").write_text(text)
    assert tool("qopt-random", tmp_path / "p.mlir").stdout.startswith("1 runs agree")


@pytest.mark.parametrize(
    ("options", "operation", "message"),
    [
        ('"--kw", "f16"', "arith.negf %x", '"--kw f16" is not known; expected --target host or cuda'),
        ('"--target"', "arith.negf %x", '"--target" has no value'),
        ('"--activations", "int7"', "arith.negf %x", '--activations is "int7"'),
        ("", "arith.negf %x", 'the reference does not know "arith.negf"'),
    ],
)
def test_refused(tool, tmp_path, options, operation, message):
    text = PROGRAM.format(options=options, operation=operation, type="tensor<?x4xf32>")
    (tmp_path / "p.mlir").write_text(text)
    done = tool("qopt-random", tmp_path / "p.mlir", check=False)
    assert done.returncode == 1 and message in done.stderr, done.stderr


@pytest.mark.parametrize(
    "words", [("--count",), ("--count", "many"), ("--target", "tpu"), ("--slack", "0"), ("--x", "1")]
)
def test_usage(tool, words):
    done = tool("qopt-random", *words, check=False)
    assert done.returncode == 2 and done.stderr.startswith("qopt-random [--target host|cuda]")
