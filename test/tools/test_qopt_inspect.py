"""qopt-inspect: the numbers it prints are those of the artifact."""

import hashlib
import json

USAGE = 2


def inspect(tool, *arguments):
    return json.loads(tool("qopt-inspect", *arguments, "--json").stdout)


def test_decoder(tool, artifacts):
    path = artifacts / "decoder.qopt"
    found = inspect(tool, path)
    assert found["manifest"]["bytes"] == path.stat().st_size
    model = found["model"]
    assert (model["kind"], model["layers"], model["vocabulary"], model["context"]) == ("decoder", 1, 50, 100)
    assert model["cache_bytes_per_token"] == 2 * 16 * 4
    (step,) = found["functions"]
    assert step["kernels"]["linear"] == 3 and sum(step["kernels"].values()) == len(step["steps"])
    head = step["steps"][-1]
    assert head["kernel"] == "linear" and head["origin"] == "head"
    assert head["weight"] == {"rows": 50, "columns": 32, "format": "f32", "layout": "HostTiled"}


def test_segments_have_their_digests(tool, artifacts):
    path = artifacts / "decoder.qopt"
    data = path.read_bytes()
    for segment in inspect(tool, path)["segments"]:
        content = data[segment["offset"] : segment["offset"] + segment["bytes"]]
        assert hashlib.sha256(content).hexdigest() == segment["sha256"]


def test_arena_grows_with_the_tokens(tool, artifacts):
    sizes = {}
    for tokens in (1, 64):
        (step,) = inspect(tool, artifacts / "decoder.qopt", "--tokens", tokens)["functions"]
        assert step["arena_lower_bound"] <= step["arena_bytes"] <= 1.1 * step["arena_lower_bound"]
        sizes[tokens] = step["arena_bytes"]
    assert sizes[64] > 32 * sizes[1]


def test_graph_at_a_size(tool, artifacts):
    found = inspect(tool, artifacts / "graph.qopt", "--size", "batch=5")
    assert found["model"]["inputs"] == [{"name": "x", "type": "f32", "shape": ["batch", "8"]}]
    (function,) = found["functions"]
    shapes = [operand["shape"] for step in function["steps"] for operand in step["operands"]]
    assert [5, 8] in shapes


def test_text(tool, artifacts):
    text = tool("qopt-inspect", artifacts / "decoder.qopt", "--plan", "--weights", "--segments").stdout
    assert "decoder: 1 layers, vocabulary 50, context 100" in text
    assert "linear f32 64x32 'qkv': constants 8,192" in text


def test_errors(tool, artifacts):
    for arguments, message in {
        ("graph.qopt", "--size", "bat=5"): 'no dimension of the inputs is called "bat"',
        ("graph.qopt", "--size", "batch"): 'expected NAME=NUMBER, got "batch"',
        ("decoder.qopt", "--size", "batch=2"): "--size is for graphs",
        ("decoder.qopt", "--sequences", "2"): "must not exceed --tokens",
        ("graph.qopt", "--tokens", "2"): "--tokens and --sequences are for decoders",
        ("graph.qopt", "--sequences", "1"): "--tokens and --sequences are for decoders",
    }.items():
        failed = tool("qopt-inspect", artifacts / arguments[0], *arguments[1:], check=False)
        assert failed.returncode == USAGE and message in failed.stderr


def test_a_model_is_called_by_its_own_name(tool, stories):
    assert inspect(tool, stories)["manifest"]["file"] == str(stories)
    assert tool("qopt-inspect", stories).stdout.startswith(str(stories))
