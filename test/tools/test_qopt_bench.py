"""qopt-bench: its figures fit each other and the artifact; every format has them."""

import csv
import io
import json

INFEASIBLE = 5
RESOURCES = 7
QUICK = ("--prompt", 16, "--context", 20, "--tokens", 8, "--repeats", 3, "--bandwidth-mib", 8)


def test_json(tool, artifacts):
    found = json.loads(tool("qopt-bench", artifacts / "decoder.qopt", *QUICK, "--batch", 2, "--json").stdout)
    decode = found["decode"]
    assert found["batch"] == 2 and len(decode["repeats"]) == 3
    assert decode["tokens_per_second"] in decode["repeats"]
    assert 0 < decode["p50_ms"] <= decode["p90_ms"] <= decode["p99_ms"]
    # Keys and values of 16 floats, at the middle of the measured tokens, for two sequences.
    assert decode["cache_bytes_per_step"] == 2 * (2 * 16 * 4) * (20 + 8 // 2)
    # qkv 64, output 32 and head 50 (in tiles of 16 rows) of 32 floats, two norms of one scale, frequencies, two rows.
    assert decode["weight_bytes_per_step"] == 4 * (32 * (64 + 32 + 64) + 32 + 8 + 2 * 32)
    bandwidth = decode["read_bandwidth_bytes_per_second"]
    steps = decode["tokens_per_second"] / 2
    expected = steps * 2 * decode["bytes_per_token"] / bandwidth
    assert abs(decode["read_bandwidth_fraction"] - expected) < 1e-6 * expected
    assert found["artifact_bytes"] == (artifacts / "decoder.qopt").stat().st_size


def test_keys_that_wait_are_read_too(tool, stories, tmp_path):
    """Of a cache with keys in groups, a step reads what positions have and, of the latest keys, half a group."""
    tool("qopt-compile", stories, "--kv", "int8_g32,f16", "-o", tmp_path / "m.qopt")
    cache = json.loads(tool("qopt-inspect", tmp_path / "m.qopt", "--json").stdout)["model"]
    found = json.loads(tool("qopt-bench", tmp_path / "m.qopt", *QUICK, "--batch", 3, "--json").stdout)["decode"]
    assert cache["cache_bytes_per_sequence"] > 0
    expected = 3 * (cache["cache_bytes_per_token"] * (20 + 8 // 2) + cache["cache_bytes_per_sequence"] / 2)
    assert abs(found["cache_bytes_per_step"] - expected) <= 3 * 5  # a fraction of a byte is dropped in each layer


def test_csv_and_markdown(tool, artifacts, tmp_path):
    run = ("qopt-bench", artifacts / "decoder.qopt", *QUICK, "--report", tmp_path / "report", "--format")
    text = tool(*run, "csv").stdout
    assert text == (tmp_path / "report").read_text()
    prefill, decode = csv.DictReader(io.StringIO(text))
    assert (prefill["what"], prefill["size"], decode["what"], decode["size"]) == ("prefill", "16", "decode", "20")
    assert float(decode["read_bandwidth_fraction"]) > 0
    text = tool(*run, "md").stdout
    assert "| prefill 16, batch 1 |" in text and "% of the read bandwidth" in text


def test_parts_can_be_left_out(tool, artifacts):
    run = ("qopt-bench", artifacts / "decoder.qopt", "--repeats", 1, "--json")
    assert "prefill" not in json.loads(tool(*run, "--prompt", 0, "--bandwidth-mib", 8).stdout)
    assert "decode" not in json.loads(tool(*run, "--tokens", 0).stdout)


def test_a_graph_writes_no_tokens(tool, artifacts):
    """Whatever else is asked of it."""
    for options in ((), ("--context", 500)):
        failed = tool("qopt-bench", artifacts / "graph.qopt", *options, check=False)
        assert failed.returncode == 2 and "graph.qopt' is a graph, which runs on tensors" in failed.stderr


def test_nothing_to_measure(tool, artifacts):
    failed = tool("qopt-bench", artifacts / "decoder.qopt", "--prompt", 0, "--tokens", 0, check=False)
    assert failed.returncode == 2 and "--prompt and --tokens are both 0" in failed.stderr


def test_no_row_is_left_out_in_silence(tool, artifacts):
    """A context that has no position for a token to measure, whatever else is asked."""
    for context in (100, 600):
        for more in ((), ("--prompt", 1)):
            failed = tool("qopt-bench", artifacts / "decoder.qopt", "--context", context, *more, check=False)
            assert failed.returncode == INFEASIBLE and failed.stdout == ""
            expected = (
                f"--context {context} leaves no position for a token to measure, the model has 100; take at most 99"
            )
            assert expected in failed.stderr
    run = ("qopt-bench", artifacts / "decoder.qopt", "--context", 99, "--prompt", 0, "--repeats", 1, "--json")
    assert json.loads(tool(*run, "--bandwidth-mib", 8).stdout)["decode"]["tokens"] == 1


def test_longer_than_the_context(tool, artifacts):
    failed = tool("qopt-bench", artifacts / "decoder.qopt", "--context", 90, "--tokens", 20, check=False)
    assert failed.returncode == INFEASIBLE
    assert "need 110 positions, the model has 100" in failed.stderr


def test_more_sequences_than_memory(tool, stories_artifact):
    """Refused before anything is allocated; a batch of zero by the option's own name."""
    run = ("qopt-bench", stories_artifact, "--context", 256, "--tokens", 256, "--batch")
    failed = tool(*run, 1 << 24, check=False, timeout=30)
    assert failed.returncode == RESOURCES and failed.stdout == ""
    assert failed.stderr.startswith("error: this machine has ") and failed.stderr.count("\n") == 1
    assert f"KV cache of {512 << 24} positions 10995.12 GB" in failed.stderr
    assert "use fewer sequences (--batch) or positions (--prompt, --context, --tokens)" in failed.stderr
    failed = tool(*run, 0, check=False)
    assert failed.returncode == 2 and "--batch: expected a number from 1 to " in failed.stderr


def test_a_step_reads_the_experts_that_tokens_take(tool, shared, tmp_path):
    """Of four experts a token takes two: a token leaves one alone in half of all steps, eight tokens in one of 256."""
    tool("qopt-compile", shared / "zoo/families/mixtral-dynamo", "-o", tmp_path / "m.qopt")
    weights = json.loads(tool("qopt-inspect", tmp_path / "m.qopt", "--json").stdout)["weights"]["list"]
    experts = sum(weight["bytes"] for weight in weights if ".experts." in weight["name"])
    quick = ("--prompt", 0, "--context", 8, "--tokens", 2, "--repeats", 1, "--bandwidth-mib", 8, "--json")
    one, eight = (
        json.loads(tool("qopt-bench", tmp_path / "m.qopt", *quick, "--batch", batch).stdout)["decode"]
        for batch in (1, 8)
    )
    rows = 7 * 64 * 4  # of the embedding
    expected = (1 / 2 - 1 / 2**8) * experts + rows
    assert abs(eight["weight_bytes_per_step"] - one["weight_bytes_per_step"] - expected) < 100
