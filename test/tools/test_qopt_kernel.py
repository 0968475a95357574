"""qopt-kernel makes a kernel and says everything that its launch needs."""

import json
import re

import pytest

USAGE, UNSUPPORTED, INFEASIBLE, NOT_FOUND = 2, 4, 5, 9


def test_record(tool, tmp_path):
    done = tool("qopt-kernel", "skinny_linear", "rows=256", "columns=512", "-o", tmp_path / "k")
    record = json.loads((tmp_path / "k.json").read_text())
    assert record["symbol"] == "skinny_linear_sm_90a_f16_int4_g128_f16_m1"
    assert f".entry {record['symbol']}(" in (tmp_path / "k.ptx").read_text()
    shapes = {argument["name"]: argument["shape"] for argument in record["arguments"]}
    assert list(shapes) == ["x", "weights", "y", "workspace", "counters", "tokens"]
    assert shapes["weights"] == [256 * 512 // 2 + 2 * 256 * 512 // 128] and record["arguments"][-1]["value"] == 1
    assert record["cost"]["seconds"] == pytest.approx(sum(term["seconds"] for term in record["cost"]["terms"]))
    (segment,) = record["layout"]["segments"]
    assert sorted(segment["code_places"]) == list(range(16 * 128 * 4))
    if done.stderr:  # a note that there is no assembler here, or no disassembler
        return
    assert record["resources"]["spill_bytes"] == 0 and record["sass"]["main_loop"]["opcodes"]["HMMA"] > 0
    assert (tmp_path / "k.cubin").read_bytes().startswith(b"\x7fELF")


def test_segments(tool):
    """Ranges of rows in formats of their own: each has a place in the packed bytes, and equal neighbours are one."""
    words = ("rows=64:32:32:20", "weights=int8:int4_g128:int4_g128:f16", "columns=512", "tokens=3")
    record = json.loads(tool("qopt-kernel", "skinny_linear", *words, "--ptx-only").stdout)
    found = [(part["rows"], part["weights"], part["packed_at"]) for part in record["layout"]["segments"]]
    int8, int4, halves = 64 * 512 + 64 * 4, 64 * 512 // 2 + 64 * 4 * 2, 32 * 512 * 2
    assert found == [(64, "int8", 0), (64, "int4_g128", int8), (20, "f16", int8 + int4)]
    shapes = {argument["name"]: argument["shape"] for argument in record["arguments"]}
    assert shapes["weights"] == [int8 + int4 + halves] and shapes["y"] == [3, 64 + 64 + 20]
    assert "_int8_x_int4_g128_x_f16_" in record["symbol"] and record["problem"]["rows"] == "64:32:32:20"
    # A schedule goes back in as it came out.
    units = record["schedule"]["units_per_stage"]
    assert len(units.split(":")) == 3
    again = json.loads(
        tool("qopt-kernel", "skinny_linear", *words, "--ptx-only", "--schedule", f"units_per_stage={units}").stdout
    )
    assert again["schedule"]["units_per_stage"] == units


def test_the_last_group_may_be_short(tool):
    """Files have such weights (MatMulNBits), so kernels take them; qopt-compile makes none itself."""
    record = json.loads(tool("qopt-kernel", "gather_rows", "columns=48", "format=int4_g32", "--ptx-only").stdout)
    shapes = {argument["name"]: argument["shape"] for argument in record["arguments"]}
    assert record["layout"]["groups"] == 2 and shapes["scales"] == [32000 * 2 * 2]
    assert "may be short, as in files" in re.sub(r"\s+", " ", tool("qopt-kernel", "--help").stdout)


def test_segments_of_heads(tool):
    """Queries, keys and values of a product with an append."""
    words = ("heads=4", "key_heads=2", "head_size=64", "columns=256", "weights=int4_g64:int8:int8")
    record = json.loads(tool("qopt-kernel", "skinny_linear_append", *words, "--ptx-only").stdout)
    parts = [(part["rows"], part["weights"]) for part in record["layout"]["segments"]]
    assert parts == [(4 * 64, "int4_g64"), (4 * 64, "int8")]


def test_codes_have_a_scale_a_token(tool):
    for family in ("skinny_linear", "gemm"):
        words = ("tokens=5", "weights=int8", "int8=1", "rows=64", "columns=512")
        record = json.loads(tool("qopt-kernel", family, *words, "--ptx-only").stdout)
        shapes = {argument["name"]: argument["shape"] for argument in record["arguments"]}
        assert shapes["token_scales"] == [5] and f"{family}_sm_90a_int8_int8_f16" in record["symbol"]


def test_schedule(tool):
    """What --schedule changes is in the launch, and what does not fit is refused with the family's reason."""
    command = ("qopt-kernel", "skinny_linear", "columns=2048", "--ptx-only", "--schedule")
    sliced = "slices=4,grid=8,stages=3,whole_tiles=1,column_warps=1,row_warps=8,units_per_stage=2"
    record = json.loads(tool(*command, sliced).stdout)
    assert record["grid"] == [8, 1, 1] and record["schedule"]["stages"] == 3
    refused = tool(*command, "slices=3,grid=8", check=False)
    assert "the slices do not divide the grid" in refused.stderr


def test_append(tool):
    """The heads of a product go to a cache. Groups of keys have slots in the first pages."""
    words = ("heads=4", "key_heads=2", "head_size=64", "columns=256", "context=100", "key=int4_g32")
    record = json.loads(tool("qopt-kernel", "skinny_linear_append", *words, "--ptx-only").stdout)
    uses = {argument["name"]: (argument["use"], argument["shape"]) for argument in record["arguments"]}
    layout = record["layout"]
    assert record["symbol"].endswith("_m1_append") and layout["merged_columns"] == 8 * 64 and layout["slot_pages"] == 1
    assert uses["pages"] == ("update", [1 + 2, layout["page_bytes"]]) and uses["page_table"] == ("read", [1, 2 + 1])
    assert uses["queries"] == ("write", [1, 4 * 64]) and uses["y"] == ("write", [1, 8 * 64])


def test_list(tool):
    text = tool("qopt-kernel", "list").stdout
    assert "skinny_linear\n  problem   tokens=1 rows=4096" in text and "\nattention_prefill\n" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], 'no family "bogus"; expected skinny_linear, '),
        (["skinny_linear", "row=3"], '"row" is not known; expected some of tokens=1 rows=4096'),
        (["skinny_linear", "rows=x"], 'rows: expected a number, got "x"'),
        (["skinny_linear", "rows=64:0"], 'rows: expected 1 or more, got "0"'),
        (["skinny_linear", "rows=64:x"], 'rows: expected a number, got "x"'),
        (["skinny_linear", "weights=int8:int9"], 'weights: expected a format, got "int9"'),
        (
            ["gemm", "rows=64:64:64", "weights=int8:int4_g32"],
            "weights: expected one format, or 3, one for each range of rows; got 2",
        ),
        (["skinny_linear", "--schedule", "units_per_stage=4:"], 'units_per_stage: expected a number, got ""'),
        (["skinny_linear", "rows=0"], 'rows: expected 1 or more, got "0"'),
        (["skinny_linear", "gate=swish"], "gate: expected one of none, silu, gelu_erf, "),
        (["skinny_linear", "makes_codes=1"], "codes are made of x in f16 or bf16"),
        (["skinny_linear_append", "rows=64"], '"rows" is not known; expected some of heads=32'),
        (["skinny_linear_append", "sequences=70"], 'tokens: expected 1 to 64, got "70"'),
        (["gemm", "norm=1"], '"norm" is not known'),
        (["skinny_linear", "rows"], 'expected key=value, got "rows"'),
        (["skinny_linear", "rows=1", "rows=2"], '"rows" is given twice'),
        (["skinny_linear", "tokens=65"], "tokens: expected 1 to 64"),
        (["skinny_linear", "weights=int9"], 'weights: expected a format, got "int9"'),
        (["skinny_linear", "norm=yes"], 'norm: expected 0 or 1, got "yes"'),
        (["skinny_linear", "activation=int8"], 'activation: expected f16, bf16 or f32, got "int8"'),
        (["skinny_linear", "--schedule", "stage=4"], '"stage" is not known; expected some of grid='),
        (["attention_decode", "tokens=5", "context=4"], "they are part of the context, which is smaller"),
        (["attention_prefill", "--schedule", "splits=2"], "splits: only attention_decode has some"),
        (["attention_decode", "key=int4_g48"], "cache: keys in groups of 48 positions; expected a multiple of 32"),
        (["rotary_append", "value=int4_asym_g32"], "cache: a GPU keeps its cache in "),
        (["rotary_append", "value=int4_g48"], "cache: values in groups of 48 channels; expected a multiple of 16 that"),
        (["rotary_append", "angle_scale=2"], "angle_scale: only with angles=computed"),
        (["rotary_append", "rotated=130"], "rotary embedding of 130 of 128 channels; expected at most all"),
        (["norm", "bias=1"], "an rms_norm has no bias"),
        (["norm", "kind=group"], 'kind: expected one of rms, layer, got "group"'),
        (["norm", "rows=8", "heads=2"], "heads: more than one need a stride"),
        (["norm", "rows=9", "heads=2", "stride=9000"], "heads: expected a divisor of rows"),
        (["gather_rows", "table=tensor", "format=int8"], 'a tensor has no scales; got the format "int8"'),
        (["check_indices", "count=4", "outside=5"], "outside: so many of the indices lie outside, which are less"),
        (["attention_decode", "softcap=x"], 'softcap: expected a number, got "x"'),
        (["attention_decode", "softcap=nan"], 'softcap: expected a number, got "nan"'),
        (["norm", "epsilon=1e39"], 'epsilon: expected a number, got "1e39"'),
        (["skinny_linear", "--schedule", "stages=4294967300"], "stages: is too large"),
        (["skinny_linear", "--arch", "sm_80,sm_90a"], "one name in --arch"),
    ],
)
def test_refused(tool, arguments, message):
    refused = tool("qopt-kernel", *arguments, check=False)
    assert refused.returncode == USAGE and message in refused.stderr and not refused.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["skinny_linear", "int8=1", "weights=int8", "norm=1"], UNSUPPORTED, "codes have no norm ahead of them"),
        (
            ["skinny_linear", "rows=24:8", "weights=int8:f16"],
            UNSUPPORTED,
            "a segment of 24 rows before another; expected a multiple of 16",
        ),
        (["attention_decode", "softcap=-1"], UNSUPPORTED, "a softcap of -1.000000; expected a positive one"),
        (["attention_prefill", "softcap=-1"], UNSUPPORTED, "a softcap of -1.000000; expected a positive one"),
        (["quantize", "rows=3000000000"], UNSUPPORTED, '"rows" would be 3000000000; expected at most 2147483647'),
        (["sampling", "columns=300000"], UNSUPPORTED, "sampling from 300000 tokens; expected 1 to "),
        (
            ["argmax", "--schedule", "threads=2048"],
            INFEASIBLE,
            "2048 threads; sm_90a has blocks of whole warps, of at most 1024",
        ),
    ],
)
def test_no_kernel_does_that(tool, arguments, status, message):
    """What the family itself says of a problem, or of a schedule for it."""
    refused = tool("qopt-kernel", *arguments, check=False)
    assert refused.returncode == status and message in refused.stderr and not refused.stdout


def needs_assembler(done):
    if done.stderr.startswith("note: "):
        pytest.skip(done.stderr)


def test_emit(tool):
    """The text that is asked for, and no other."""
    command = ("qopt-kernel", "norm", "rows=4", "columns=512", "--emit")
    gpu, ptx = (tool(*command, what).stdout for what in ("gpu", "ptx"))
    assert gpu.startswith("// Kernels for sm_90a; ") and "gpu.func @norm_sm_90a" in gpu
    assert ".visible .entry norm_sm_90a" in ptx
    needs_assembler(tool(*command[:-1]))
    assert ".text.norm_sm_90a" in tool(*command, "sass").stdout
    missing = tool(*command, "sass", check=False, environment={"QOPT_NVDISASM": "/nonexistent"})
    assert missing.returncode == NOT_FOUND and "QOPT_NVDISASM" in missing.stderr and not missing.stdout


def test_spills_are_an_error(tool, tmp_path):
    """Twice the blocks that the registers of such tiles leave room for."""
    needs_assembler(tool("qopt-kernel", "norm"))
    command = ("qopt-kernel", "gemm", "tokens=2048", "--schedule", "blocks_per_sm=2", "-o", tmp_path / "k")
    refused = tool(*command, check=False)
    assert refused.returncode == INFEASIBLE and list(tmp_path.iterdir()) == []
    (line,) = refused.stderr.splitlines()
    assert re.match(r'error: kernel "gemm_sm_90a_\w+" of schedule \S*blocks_per_sm=2,\S+ spills \d+ bytes, uses ', line)
    assert line.endswith("expected none. Give another --schedule, or --ptx-only to look at its PTX")
    tool(*command, "--ptx-only")
    assert (tmp_path / "k.ptx").exists()


def test_replaces_its_own_files_only(tool, tmp_path):
    command = ("qopt-kernel", "skinny_linear", "rows=16", "columns=128", "-o", tmp_path / "k")
    tool(*command)
    tool(*command)
    (tmp_path / "k.json").write_text('{"mine": 1}')
    refused = tool(*command, check=False)
    assert refused.returncode == USAGE and "it is not a record of qopt-kernel" in refused.stderr
    assert (tmp_path / "k.json").read_text() == '{"mine": 1}'
