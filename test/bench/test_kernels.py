"""./x kernels counts what is in the assembled code, and fails where a bound does not hold."""

import json
import sys

import conftest
import pytest

sys.path.insert(0, str(conftest.SOURCE / "bench"))
import kernels  # noqa: E402

PTX = """
$L__BB0_1:
  ld.shared.u32 %r1, [%r2];
$L__BB0_2:
  mma.sync.aligned.m16n8k16 one;
  mma.sync.aligned.m16n8k16 two;
  @%p1 bra $L__BB0_2;
$L__BB0_3:
  mma.sync.aligned.m16n8k16 one;
  lop3.b32 %r1, %r2, 983055, 1677747200, 234;
  @%p2 bra $L__BB0_3;
  @%p3 bra $L__BB0_1;
$L__BB0_4:
  add.s32 %r1, %r1, 1;
  add.s32 %r1, %r1, 1;
  add.s32 %r1, %r1, 1;
  @%p4 bra $L__BB0_4;
  bra.uni $L__BB0_5;
$L__BB0_5:
  ret;
"""


def test_main_loop():
    """The loop with products that does most besides them, not the one around it; a jump ahead is no loop."""
    assert kernels.main_loop(PTX.strip().splitlines()) == (7, 10)
    assert kernels.product_loops(PTX.strip().splitlines()) == [(3, 6), (7, 10)]
    assert kernels.main_loop(["$L__BB0_1:", "  add.s32 %r1, %r1, 1;", "  bra $L__BB0_1;"]) is None


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["kernels.py", "--build", str(conftest.BUILD), "--arch", "sm_90a", *arguments])
    with pytest.raises(SystemExit) as ended:
        kernels.main()
    return ended.value.code


@pytest.fixture
def assembler(tool):
    note = tool("qopt-kernel", "skinny_linear", "rows=16", "columns=128").stderr
    if note:
        pytest.skip(note)


def test_table(assembler, monkeypatch, capsys, tmp_path):
    name = "skinny_linear int4_g128 M=1 o"
    assert run(monkeypatch, "--only", name, "--json", str(tmp_path / "t.json")) == 0
    (result,) = json.loads((tmp_path / "t.json").read_text())
    figures = result["figures"]
    assert 0.5 < figures["instructions a weight"] <= 1.6 and 4 <= figures["lop3 a product"] <= 4.4
    # Three stages of 16.5 KiB of its four: the loader asks for one behind the two that are on their way.
    assert figures["KiB in flight"] == 49.5 and figures["blocks an SM"] >= 2
    assert f"| {name}, sm_90a | {figures['instructions a weight']:.2f} | " in capsys.readouterr().out


def test_integers_and_fused(assembler, monkeypatch, tmp_path):
    """Products of codes have twice the columns; a launch with a norm ahead and an append behind has the same loop."""
    names = "skinny_linear w8a8 M=1 o,skinny_linear_append norm f16 M=1 qkv"
    assert run(monkeypatch, "--only", names, "--json", str(tmp_path / "t.json")) == 0
    codes, fused = (result["figures"] for result in json.loads((tmp_path / "t.json").read_text()))
    assert 0.5 < codes["instructions a weight"] <= 1.1 and "lop3 a product" not in codes
    assert 0.5 < fused["instructions a weight"] <= 1.6 and 4 <= fused["lop3 a product"] <= 4.4


def test_segments(assembler, monkeypatch, tmp_path):
    """A launch of two formats has a main loop of each; the bank conflicts of both are counted."""
    assert run(monkeypatch, "--only", "skinny_linear mixed M=8 gate_up", "--json", str(tmp_path / "t.json")) == 0
    (result,) = json.loads((tmp_path / "t.json").read_text())
    assert result["name"] == "skinny_linear mixed M=8 gate_up, sm_90a" and result["figures"]["bank conflicts"] == 0
    row = kernels.mixed(8, "gate_up")
    large = kernels.make(conftest.BUILD, row, row.words, "sm_90a", tmp_path / "large")
    _, loops = kernels.conflicts(conftest.BUILD, row, large["schedule"], "sm_90a", tmp_path / "small")
    assert any("lop3" in line for line in loops) and any("prmt" in line for line in loops)


def test_smaller_problem_has_the_schedule(assembler, monkeypatch, tmp_path):
    """Conflicts are those of the schedule that is asked about; another one is an error."""
    row = kernels.linear("int4_g128", 16, "o")
    large = kernels.make(conftest.BUILD, row, row.words, "sm_90a", tmp_path / "large")
    numbers = kernels.numbers_of(large["schedule"])
    assert numbers["slices"] > 1
    kernels.make_small(conftest.BUILD, row, large["schedule"], "sm_90a", tmp_path / "small")
    small = json.loads((tmp_path / "small.json").read_text())
    assert kernels.numbers_of(small["schedule"]) == numbers and small["grid"][0] == 2 * numbers["slices"]
    assert small["sizes"]["stage_bytes"] == large["sizes"]["stage_bytes"]
    monkeypatch.setattr(kernels, "make", lambda *arguments: {"schedule": numbers | {"stages": 1}})
    with pytest.raises(RuntimeError, match="another schedule"):
        kernels.make_small(conftest.BUILD, row, large["schedule"], "sm_90a", tmp_path / "small")


def test_bound_that_does_not_hold(assembler, monkeypatch, capsys):
    row = kernels.linear("int4_g128", 1, "o", {"instructions a weight": 0.5, "KiB in flight": 1e6})
    monkeypatch.setattr(kernels, "table_rows", lambda: [row])
    assert run(monkeypatch) == 1
    assert "| no: instructions a weight, KiB in flight |" in capsys.readouterr().out


def test_unknown(monkeypatch, capsys):
    assert run(monkeypatch, "--only", "huge") == 2 and 'no kernel matches "huge"' in capsys.readouterr().err
