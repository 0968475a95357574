"""qopt-emulate: arrays in and out, schedules, statistics, and an exit code for each kind of failure."""

import json
import pathlib
import re

import numpy as np
import pytest

SCALE = pathlib.Path(__file__).parent / "scale.ptx"
# Threads of two blocks take a number from a counter: who gets which is open.
TICKET = """.version 8.3
.target sm_80
.address_size 64
.visible .entry ticket(.param .u64 x)
{
  .reg .b64 %rd<4>; .reg .b32 %r<4>;
  ld.param.u64 %rd1, [x];
  atom.global.add.u32 %r1, [%rd1], 1;
  mov.u32 %r2, %tid.x;
  mul.wide.u32 %rd2, %r2, 4;
  add.u64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3+4], %r1;
}
"""


@pytest.fixture
def failure(tool):
    """failure(6, …) runs the tool, which must end with this code; its error."""

    def run(code, *arguments):
        done = tool("qopt-emulate", *arguments, check=False)
        assert done.returncode == code, done.stderr
        return done.stderr

    return run


@pytest.fixture
def scale(tmp_path):
    """The options of a right call; a test changes one of them."""
    x = np.arange(200, dtype=np.float32)
    np.savez(tmp_path / "args.npz", arg0=x, arg1=np.float32(3), arg2=np.uint32(200))
    return [SCALE, "--grid", "4", "--block", "64", "--args", tmp_path / "args.npz", "--out", tmp_path / "out.npz"]


def test_arrays_come_back(tool, scale, tmp_path):
    tool("qopt-emulate", *scale, "--kernel", "scale", "--schedules", "3")
    out = np.load(tmp_path / "out.npz")
    assert out.files == ["arg0"]
    np.testing.assert_array_equal(out["arg0"], 3 * np.arange(200, dtype=np.float32))


def test_changes_that_nothing_keeps_are_noted(tool, scale, tmp_path):
    """Arrays that are dropped are counted on standard error; one that the kernel left as it was loses nothing."""
    assert tool("qopt-emulate", *scale).stderr == ""
    note = "note: 1 of 1 arrays was changed, the first of them 'arg0'; --out FILE.npz keeps them\n"
    without = scale[: scale.index("--out")]
    assert tool("qopt-emulate", *without, "--json").stderr == note
    np.savez(tmp_path / "args.npz", arg0=np.zeros(200, np.float32), arg1=np.float32(3), arg2=np.uint32(200))
    assert tool("qopt-emulate", *without).stderr == ""


def test_statistics(tool, scale):
    counts = json.loads(tool("qopt-emulate", *scale, "--json").stdout)
    assert counts["opcodes"]["ld.global.f32"] == {"warps": 7, "lanes": 200}
    assert counts["bytes"]["global"] == {"read": 800, "written": 800}
    assert counts["sectors"] == {"touched_read": 25, "touched_written": 25, "moved": 50}
    table = tool("qopt-emulate", *scale, "--stats").stdout
    assert "ld.global.f32" in table and "bytes read" in table


def test_schedules_differ(tool, failure, tmp_path):
    (tmp_path / "ticket.ptx").write_text(TICKET)
    np.savez(tmp_path / "args.npz", arg0=np.zeros(129, np.uint32))
    call = [tmp_path / "ticket.ptx", "--block", "128", "--args", tmp_path / "args.npz"]
    tool("qopt-emulate", *call)
    found = failure(6, *call, "--schedules", "8")
    assert re.search(
        r"schedule \d: kernel 'ticket' leaves 'arg0' with \d+ of 516 bytes other than schedule 0, the first of them "
        r"byte \d+$",
        found.rstrip(),
    ), found


def test_finding(failure, scale, tmp_path):
    np.savez(tmp_path / "args.npz", arg0=np.zeros(199, np.float32), arg1=np.float32(3), arg2=np.uint32(200))
    place = "kernel 'scale', ptx line 23 (ld.global.f32 %f2, [%rd3];), block (3,0,0), thread (7,0,0)"
    assert f"out of bounds: {place}" in failure(6, *scale)
    assert not (tmp_path / "out.npz").exists()
    np.savez(tmp_path / "args.npz", arg0=np.zeros(177, np.float32), arg1=np.float32(3), arg2=np.uint32(200))
    place = place.replace("block (3,0,0), thread (7", "block (2,0,0), thread (49")
    found = failure(6, *scale)
    assert f"out of bounds: {place}" in found
    end = r": 0 bytes behind the end of 'arg0', 708 bytes at 0x[0-9a-f]+; so do 14 more lanes of the warp: 18 to 31\n$"
    assert re.search(end, found), found


@pytest.mark.parametrize(
    "change, code, message",
    [
        (["--kernel", "other"], 2, "the module has no kernel 'other'; it has 'scale'"),
        (["--grid", "0"], 2, '--grid: expected X,Y,Z of at least 1, got "0"'),
        (["--block", "2048"], 2, "kernel 'scale': block 2048,1,1 is more than 1024 threads or 1024,1024,64"),
        (["--checks", "speed"], 2, "--checks: expected all, none, or some of"),
    ],
)
def test_wrong_options(failure, scale, change, code, message):
    at = scale.index(change[0]) if change[0] in scale else len(scale)
    call = scale[:at] + change + scale[at + 2 :]
    assert message in failure(code, *call)


def test_wrong_arguments(failure, scale, tmp_path):
    np.savez(tmp_path / "args.npz", arg0=np.zeros(200, np.float32), arg1=np.float64(3), arg2=np.uint32(200))
    assert "'arg1' is a scalar f64, but the parameter 'a' has 4 bytes" in failure(2, *scale)
    np.savez(tmp_path / "args.npz", arg0=np.zeros(200, np.float32), arg1=np.int32(3), arg2=np.uint32(200))
    says = "'arg1' is a scalar i32, but the parameter 'a' is .f32; give a 0-d array of floats of 32 bits"
    assert failure(2, *scale) == f"error: {says}\n"
    np.savez(tmp_path / "args.npz", arg0=np.zeros(200, np.float32), arg1=np.float32(3), arg2=np.float32(200))
    says = "'arg2' is a scalar f32, but the parameter 'n' is .u32; give a 0-d array of integers of 32 bits"
    assert failure(2, *scale) == f"error: {says}\n"
    np.savez(tmp_path / "args.npz", arg0=np.zeros(200, np.float32))
    assert "has no 'arg1'" in failure(2, *scale)


def test_kernels_are_named(failure, scale, tmp_path):
    """A file of several kernels, or of none, is wrong usage or no module; the message has the names."""
    several, none = tmp_path / "several.ptx", tmp_path / "none.ptx"
    several.write_text(SCALE.read_text() + TICKET[TICKET.index(".visible") :])
    none.write_text(TICKET[: TICKET.index(".visible")])
    says = f"'{several}' has 2 kernels; name one by --kernel: 'scale', 'ticket'"
    assert failure(2, several, *scale[1:]) == f"error: {says}\n"
    assert failure(3, none, *scale[1:]) == f"error: '{none}' has no kernel\n"


def test_instructions_are_counted_in_straight_code(tool, failure, scale):
    """The kernel has 15 and no branch."""
    tool("qopt-emulate", *scale, "--max-instructions", "15")
    found = failure(6, *scale, "--max-instructions", "14")
    assert "watchdog: kernel 'scale', ptx line 26 (ret;)" in found
    assert found.rstrip().endswith("a warp executes more than 14 instructions")


def test_damaged_ptx(failure, scale, tmp_path):
    (tmp_path / "broken.ptx").write_text(SCALE.read_text().replace("ret;", "ret", 1))
    assert "ptx line 21" in failure(3, tmp_path / "broken.ptx", *scale[1:])
