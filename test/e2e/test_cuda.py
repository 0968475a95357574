"""Decoders compiled for GPUs, run by the emulator with every check, beside the host running the same model."""

import json
import os
import subprocess
import sys

import conftest
import numpy as np
import pytest
from distributions import divergences

USAGE, UNSUPPORTED, BAD_ARTIFACT = 2, 4, 8
PROMPT = ("--prompt", "Once upon a time")


def generated(tool, artifact, count, *options, prompt=PROMPT):
    return json.loads(tool("qopt-run", artifact, *prompt, "--max-tokens", count, "--json", *options).stdout)["tokens"]


def logits_of(tool, artifact, tokens, folder, *options):
    tool("qopt-eval", artifact, "--tokens", tokens, "--save-logits", folder / "l.npy", *options)
    return np.load(folder / "l.npy")


@pytest.fixture(scope="module")
def stories_cuda(tool, stories, tmp_path_factory):
    path = tmp_path_factory.mktemp("cuda") / "s.qopt"
    tool("qopt-compile", stories, "--target", "cuda", "-o", path, environment=conftest.NO_ASSEMBLER)
    return path


def test_greedy_tokens_equal_the_host(tool, stories, stories_cuda):
    """Across the end of a page."""
    assert generated(tool, stories_cuda, 200, "--device", "emulator") == generated(tool, stories, 200)


@conftest.PTX_ONLY
def test_a_model_is_compiled_for_the_device(tool, stories):
    """Where no artifact is given, but the model's folder."""
    assert generated(tool, stories, 4, "--device", "emulator") == generated(tool, stories, 4)


def test_schedules_leave_the_same_bytes(tool, stories, stories_cuda):
    """Each kernel of a step under several orders of warps and blocks, for a prompt of one step and decoded tokens."""
    device = ("--device", "emulator,schedules=3")
    assert generated(tool, stories_cuda, 4, *device) == generated(tool, stories, 4)
    prompt = ("--tokens", ",".join(map(str, range(3, 103))))
    assert generated(tool, stories_cuda, 2, *device, prompt=prompt) == generated(tool, stories, 2, prompt=prompt)


def test_a_long_prompt_is_one_step(tool, stories, stories_cuda):
    """Far more than 64 tokens at once: gemm and attention_prefill, then the kernels of few tokens."""
    prompt = ("--tokens", ",".join(map(str, [1, *generated(tool, stories, 150)])))
    expected = generated(tool, stories, 12, prompt=prompt)
    assert generated(tool, stories_cuda, 12, "--device", "emulator", prompt=prompt) == expected


def vector_graph(node, path, **constants):
    """One operator on a vector of 13 numbers."""
    from onnx import TensorProto, helper, numpy_helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [13]) for name in "xy"]
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    made = helper.make_node(node, ["x", *constants], ["y"])
    model = helper.make_model(
        helper.make_graph([made], "g", value[:1], value[1:], weights), opset_imports=[helper.make_opsetid("", 20)]
    )
    path.write_bytes(model.SerializeToString())


@conftest.PTX_ONLY
@pytest.mark.parametrize("node", ["Sigmoid", "LayerNormalization"])
def test_a_vector_is_no_parameter(tool, tmp_path, node):
    """Operators whose data has one axis compute in f16 as others do."""
    x = np.linspace(-3, 3, 13, dtype=np.float32)
    scale = {"scale": np.linspace(1, 2, 13, dtype=np.float32)} if node == "LayerNormalization" else {}
    vector_graph(node, tmp_path / "m.onnx", **scale)
    np.savez(tmp_path / "in.npz", x=x)
    tool("qopt-compile", tmp_path / "m.onnx", "--target", "cuda", "-o", tmp_path / "m.qopt")
    run = ("--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz", "--device", "emulator")
    tool("qopt-run", tmp_path / "m.qopt", *run)
    expected = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * scale["scale"] if scale else 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["y"], expected, atol=4e-3)


@conftest.PTX_ONLY
def test_a_single_head_of_keys(tool, tmp_path):
    """Multi-query attention is a decoder with the tokens that its graph has."""
    sizes = {"layers": 2, "hidden": 64, "heads": 4, "kv-heads": 1, "head-size": 16, "ffn": 96, "context": 64}
    options = [word for name, size in (sizes | {"vocabulary": 64}).items() for word in (f"--{name}", str(size))]
    subprocess.run([sys.executable, str(conftest.SOURCE / "bench/synthetic.py"), str(tmp_path), *options], check=True)
    tokens = np.arange(3, 23, dtype=np.int32)[None]
    np.save(tmp_path / "t.npy", tokens)
    tool("qopt-compile", tmp_path, "--activations", "f32", "-o", tmp_path / "host.qopt")
    tool("qopt-compile", tmp_path, "--target", "cuda", "-o", tmp_path / "gpu.qopt")
    host = logits_of(tool, tmp_path / "host.qopt", tmp_path / "t.npy", tmp_path)
    gpu = logits_of(tool, tmp_path / "gpu.qopt", tmp_path / "t.npy", tmp_path, "--device", "emulator")
    np.testing.assert_allclose(gpu, host, atol=2e-2 * np.abs(host).max())
    inputs = {"input_ids": tokens.astype(np.int64), "attention_mask": np.ones((1, 20), np.int64)}
    past = np.zeros((1, 1, 0, 16), np.float16)
    inputs |= {f"past_key_values.{layer}.{kind}": past for layer in range(2) for kind in ("key", "value")}
    np.savez(tmp_path / "in.npz", **inputs)
    tool("qopt-compile", tmp_path, "--as", "graph", "--activations", "f32", "-o", tmp_path / "graph.qopt")
    tool("qopt-run", tmp_path / "graph.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["logits"], host, atol=2e-3 * np.abs(host).max())


@pytest.fixture(scope="module")
def wide_heads(tmp_path_factory):
    """A decoder whose heads fill tiles of gemm, with random weights."""
    folder = tmp_path_factory.mktemp("wide")
    sizes = {"layers": 2, "hidden": 256, "heads": 4, "kv-heads": 2, "head-size": 64, "ffn": 256, "context": 1024}
    options = [word for name, size in (sizes | {"vocabulary": 512}).items() for word in (f"--{name}", str(size))]
    subprocess.run([sys.executable, str(conftest.SOURCE / "bench/synthetic.py"), str(folder), *options], check=True)
    return folder


LONG = np.random.default_rng(3).integers(3, 512, 520).astype(np.int32)


@conftest.PTX_ONLY
def test_a_long_prompt_is_appended_by_its_projections(tool, wide_heads, tmp_path):
    """In steps of more than 512 tokens of this decoder, each layer has a launch less; what follows is what the host
    says."""
    tool("qopt-compile", wide_heads, "--target", "cuda", "-o", tmp_path / "gpu.qopt")
    tool("qopt-compile", wide_heads, "--activations", "f32", "-o", tmp_path / "host.qopt")
    assert launches(tool, tmp_path / "gpu.qopt", len(LONG)) == launches(tool, tmp_path / "gpu.qopt", 512) - 2
    prompt = ("--tokens", ",".join(map(str, LONG)))
    expected = generated(tool, tmp_path / "host.qopt", 8, prompt=prompt)
    assert generated(tool, tmp_path / "gpu.qopt", 8, "--device", "emulator", prompt=prompt) == expected


@conftest.PTX_ONLY
@pytest.mark.parametrize(
    "options",
    [("--kv", "int8"), ("--kv", "fp8_e4m3,int4"), ("--weights", "int8", "--activations", "int8", "--kv", "int4,int8")],
)
def test_a_long_step_appends_what_short_steps_do(tool, wide_heads, tmp_path, options):
    """Logits of one step, whose projections append, and of steps of 120 tokens, with a launch for it."""
    tool("qopt-compile", wide_heads, "--target", "cuda", *options, "-o", tmp_path / "gpu.qopt")
    np.save(tmp_path / "t.npy", LONG[None])
    arguments = (tmp_path / "gpu.qopt", tmp_path / "t.npy", tmp_path, "--device", "emulator", "--chunk")
    whole, parts = (logits_of(tool, *arguments, chunk) for chunk in (len(LONG), 120))
    assert divergences(parts, whole).mean() <= 1e-5


@conftest.PTX_ONLY
def test_books_write_the_same(tool, shared, tmp_path):
    """A real model in int4 with activations and cache in f16: its first 16 tokens are those of the f32 host."""
    folder = shared / "models/books-llama-28m"
    tool("qopt-compile", folder, "--weights", "int4_g32", "--activations", "f32", "-o", tmp_path / "host.qopt")
    tool("qopt-compile", folder, "--weights", "int4_g32", "--target", "cuda", "-o", tmp_path / "gpu.qopt")
    expected = generated(tool, tmp_path / "host.qopt", 16)
    assert generated(tool, tmp_path / "gpu.qopt", 16, "--device", "emulator") == expected


def launches(tool, artifact, tokens):
    (function,) = json.loads(tool("qopt-inspect", artifact, "--json", "--tokens", tokens).stdout)["functions"]
    return function["kernels"]["launch"]


def test_launches_of_a_layer(tool, stories_cuda):
    """At one token: norm to append, attention, output, norm to gate, down. Beside the layers: embedding, rotary table,
    rows of the logits, head with its norm, and one that chooses the token. With many tokens appends are launches.
    """
    layers = 5
    assert launches(tool, stories_cuda, 1) == 5 + 5 * layers
    assert launches(tool, stories_cuda, 64) == 5 + 6 * layers


@conftest.PTX_ONLY
@pytest.mark.parametrize(
    ("weights", "kv"),
    [("int8", "f16"), ("int8", "int8,int4"), ("fp8_e4m3", "f16"), ("fp8_e4m3", "fp8_e4m3")],
)
def test_formats(tool, stories, tmp_path, weights, kv):
    """A story in one step and past a page, against the f32 model on the host: as far as the formats round."""
    tool("qopt-compile", stories, "-o", tmp_path / "host.qopt")
    tool("qopt-compile", stories, "--target", "cuda", "--weights", weights, "--kv", kv, "-o", tmp_path / "gpu.qopt")
    tokens = generated(tool, tmp_path / "host.qopt", 100)
    np.save(tmp_path / "t.npy", np.array([tokens], np.int32))
    expected = logits_of(tool, tmp_path / "host.qopt", tmp_path / "t.npy", tmp_path)
    found = logits_of(tool, tmp_path / "gpu.qopt", tmp_path / "t.npy", tmp_path, "--device", "emulator")
    limit = {"int8": 1e-3, "fp8_e4m3": 1e-2}[weights]
    limit += {"f16": 0, "int8,int4": 5e-3, "fp8_e4m3": 5e-3}[kv]
    assert divergences(expected, found).mean() <= limit


@conftest.PTX_ONLY
def test_fp8_weights_are_those_of_the_host(tool, stories, tmp_path):
    """Codes of layers, head and embedding mean the same on both, so that only the rounding of f16 is between them."""
    for target, options in (("host", ("--activations", "f32")), ("cuda", ())):
        formats = ("--weights", "fp8_e4m3", "--embedding", "fp8_e4m3")
        tool("qopt-compile", stories, "--target", target, *formats, *options, "-o", tmp_path / f"{target}.qopt")
    tokens = generated(tool, tmp_path / "host.qopt", 60)
    np.save(tmp_path / "t.npy", np.array([tokens], np.int32))
    expected = logits_of(tool, tmp_path / "host.qopt", tmp_path / "t.npy", tmp_path)
    found = logits_of(tool, tmp_path / "cuda.qopt", tmp_path / "t.npy", tmp_path, "--device", "emulator")
    assert divergences(expected, found).mean() <= 1e-5


def test_an_artifact_runs_on_its_own_kind_of_device(tool, stories_cuda, stories_artifact):
    for artifact, device, name in ((stories_cuda, "host", "cuda"), (stories_artifact, "emulator", "host")):
        refused = tool("qopt-run", artifact, *PROMPT, "--device", device, check=False)
        assert refused.returncode == USAGE
        assert f"was compiled for {name}/" in refused.stderr and "--target" in refused.stderr


def test_no_driver(tool, stories_cuda):
    """Where there is no driver, or a file that is none, one error says what is needed."""
    environment = {"QOPT_CUDA_DRIVER": "libqopt-no-such-driver.so"}
    refused = tool("qopt-run", stories_cuda, *PROMPT, environment=environment, check=False)
    assert refused.returncode == UNSUPPORTED and "there is no CUDA driver here" in refused.stderr
    environment = {"QOPT_CUDA_DRIVER": os.path.realpath("/lib/x86_64-linux-gnu/libm.so.6")}
    if os.path.exists(environment["QOPT_CUDA_DRIVER"]):
        refused = tool("qopt-run", stories_cuda, *PROMPT, environment=environment, check=False)
        assert refused.returncode == UNSUPPORTED and "has no cu" in refused.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--arch", "sm_70"), USAGE, "sm_70"),
        (("--activations", "f32"), USAGE, "expected f16, bf16, int8 or bf16,int8"),
        (("--kv", "int3"), UNSUPPORTED, "a cache is kept in f32, f16, bf16, int8, int4 or fp8_e4m3, and in integers"),
        (
            ("--weights", "f32"),
            UNSUPPORTED,
            "no GPU kernel reads its weight of 128x64 in f32: activations are in f16; store it as f16, bf16 or with",
        ),
        (
            ("--weights", "bf16"),
            UNSUPPORTED,
            "no GPU kernel reads its weight of 128x64 in bf16: activations are in f16; give --activations bf16, or "
            "store it in another format",
        ),
        (
            ("--weights", "bf16", "--lm-head", "f16", "--activations", "bf16"),
            UNSUPPORTED,
            "its weight of 512x64 in f16: activations are in bf16; give --activations f16, or store it in another",
        ),
        (
            ("--kv", "f32"),
            UNSUPPORTED,
            'error: --kv is "f32"; with activations in f16 a GPU keeps keys and values in f16, int8, int4 or fp8_e4m3, '
            "or in integers with groups\n",
        ),
        (("--kv", "int8,bf16"), UNSUPPORTED, 'error: --kv is "int8,bf16"; with activations in f16 a GPU keeps'),
        (
            ("--kv", "bf16"),
            UNSUPPORTED,
            "in f16, int8, int4 or fp8_e4m3, or in integers with groups; or give --activations bf16\n",
        ),
        (
            ("--kv", "f16", "--activations", "bf16,int8"),
            UNSUPPORTED,
            "with activations in bf16 a GPU keeps keys and values in bf16, int8, int4 or fp8_e4m3, or in integers with "
            "groups; or give --activations f16\n",
        ),
    ],
)
def test_refused(tool, stories, tmp_path, options, code, message):
    refused = tool("qopt-compile", stories, "--target", "cuda", *options, "-o", tmp_path / "m.qopt", check=False)
    assert refused.returncode == code and message in refused.stderr, refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b".address_size 64", b".address_size ;;"),  # no module
        (b".visible .entry argmax", b".visible .entry argmux"),  # a kernel less
        (b"bar.sync", b"bar,sync"),  # a kernel that does not decode
    ],
)
def test_damaged_module(tool, stories, tmp_path, old, new):
    """--trust leaves the code to who loads it: what cannot be read is the artifact's fault, nobody's argument."""
    path = tmp_path / "m.qopt"
    tool("qopt-compile", stories, "--target", "cuda", "-o", path, environment=conftest.NO_ASSEMBLER)
    data = path.read_bytes()
    assert old in data and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    refused = tool("qopt-run", path, *PROMPT, "--device", "emulator", "--trust", check=False)
    assert refused.returncode == BAD_ARTIFACT, refused.stderr
    assert refused.stderr.startswith("error: ") and refused.stderr.endswith("; compile the model again\n")


def test_same_bytes(tool, stories, tmp_path):
    """Whatever the threads and what code is there already: none, all, some of it damaged, and where none is kept."""
    cache = tmp_path / "code"
    made = []

    def compile_with(threads, code_cache=cache):
        output = tmp_path / "m.qopt"
        environment = {"QOPT_CODE_CACHE": str(code_cache)}
        options = ("--target", "cuda", "--threads", threads)
        tool("qopt-compile", stories, *options, "-o", output, environment=environment)
        made.append(output.read_bytes())

    compile_with(1, "off")
    assert not cache.exists()
    compile_with(2)
    entries = {path: path.read_bytes() for path in cache.iterdir() if path.name != "llvmcache.timestamp"}
    kernels = json.loads(tool("qopt-inspect", tmp_path / "m.qopt", "--json").stdout)["kernels"]
    # Equal kernels of two names once; with an assembler its code, too.
    assert len(kernels) * 0.8 < len(entries) <= len(kernels) + 1
    compile_with(2)
    for path in sorted(entries)[:4]:
        path.write_bytes(entries[path][:-1])
    compile_with(1)
    assert all(path.read_bytes() == entry for path, entry in entries.items())
    assert len(set(made)) == 1
