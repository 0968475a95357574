"""qopt-kernel makes a kernel and says everything that its launch needs."""

import json

import pytest

USAGE = 2


def test_record(tool, tmp_path):
    done = tool("qopt-kernel", "skinny_linear", "rows=256", "columns=512", "-o", tmp_path / "k")
    record = json.loads((tmp_path / "k.json").read_text())
    assert record["symbol"] == "skinny_linear_sm_90a_f16_int4_g128_f16_m1"
    assert f".entry {record['symbol']}(" in (tmp_path / "k.ptx").read_text()
    shapes = {argument["name"]: argument["shape"] for argument in record["arguments"]}
    assert list(shapes) == ["x", "weights", "y", "workspace", "counters", "tokens"]
    assert shapes["weights"] == [256 * 512 // 2 + 2 * 256 * 512 // 128] and record["arguments"][-1]["value"] == 1
    assert record["cost"]["seconds"] == pytest.approx(sum(term["seconds"] for term in record["cost"]["terms"]))
    assert sorted(record["layout"]["code_places"]) == list(range(0, 16 * 128 * 4, 4))
    if done.stderr:  # a note that there is no assembler here, or no disassembler
        return
    assert record["resources"]["spill_bytes"] == 0 and record["sass"]["main_loop"]["opcodes"]["HMMA"] > 0
    assert (tmp_path / "k.cubin").read_bytes().startswith(b"\x7fELF")


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


def test_list(tool):
    text = tool("qopt-kernel", "list").stdout
    assert "skinny_linear\n  problem   tokens=1 rows=4096" in text and "\nattention_prefill\n" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], 'no family "bogus"; expected skinny_linear, '),
        (["skinny_linear", "row=3"], '"row" is not known; expected some of tokens=1 rows=4096'),
        (["skinny_linear", "rows=x"], 'rows: expected a number, got "x"'),
        (["skinny_linear", "rows"], 'expected key=value, got "rows"'),
        (["skinny_linear", "rows=1", "rows=2"], '"rows" is given twice'),
        (["skinny_linear", "tokens=65"], "tokens: expected 1 to 64"),
        (["skinny_linear", "weights=int9"], 'weights: expected a format, got "int9"'),
        (["skinny_linear", "norm=yes"], 'norm: expected 0 or 1, got "yes"'),
        (["skinny_linear", "activation=int8"], 'activation: expected f16, bf16 or f32, got "int8"'),
        (["skinny_linear", "--schedule", "stage=4"], '"stage" is not known; expected some of grid='),
        (["attention_decode", "tokens=5", "context=4"], "they are part of the context, which is smaller"),
        (["attention_prefill", "--schedule", "splits=2"], "splits: expected 1 or more, and only for attention_decode"),
        (["attention_decode", "key=int4_g32", "page=64"], "key: groups of positions wait in slots of sequences"),
        (["attention_decode", "softcap=x"], 'softcap: expected a number, got "x"'),
        (["skinny_linear", "--arch", "sm_80,sm_90a"], "one name in --arch"),
    ],
)
def test_refused(tool, arguments, message):
    refused = tool("qopt-kernel", *arguments, check=False)
    assert refused.returncode == USAGE and message in refused.stderr and not refused.stdout


def test_replaces_its_own_files_only(tool, tmp_path):
    command = ("qopt-kernel", "skinny_linear", "rows=16", "columns=128", "-o", tmp_path / "k")
    tool(*command)
    tool(*command)
    (tmp_path / "k.json").write_text('{"mine": 1}')
    refused = tool(*command, check=False)
    assert refused.returncode == USAGE and "it is not a record of qopt-kernel" in refused.stderr
    assert (tmp_path / "k.json").read_text() == '{"mine": 1}'
