"""The Python package: arrays and text in and out, errors with codes, threads and types."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

qopt = pytest.importorskip("qopt", reason="the Python module was not built")
needs_compiler = pytest.mark.skipif(importlib.util.find_spec("qopt._compiler") is None, reason="built without LLVM")
X = np.arange(24, dtype=np.float32).reshape(3, 8) - 7


def normed(x):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


@pytest.fixture(scope="module")
def graph(artifacts):
    return qopt.load(artifacts / "graph.qopt", threads=1)


@pytest.fixture(scope="module")
def decoder(artifacts):
    return qopt.load(artifacts / "decoder.qopt", threads=1)


def test_graph(graph):
    assert graph.kind == "graph" and graph.inputs == [qopt.TensorSpec("x", "f32", ("batch", "8"))]
    out = graph.run({"x": X})
    np.testing.assert_allclose(out["y"], normed(X), rtol=1e-5)
    assert out["half"].dtype == np.float16 and np.array_equal(out["half"], X.astype(np.float16))


@pytest.mark.parametrize("array", [X[::-1], np.asfortranarray(X), X[None][0], memoryview(X)])
def test_every_layout(graph, array):
    np.testing.assert_allclose(graph.run({"x": array})["y"], normed(np.asarray(array)), rtol=1e-5)


@pytest.mark.parametrize(
    "array",
    [X[:, ::-1], X.astype(">f4"), X.tolist(), tuple(map(tuple, X.tolist())), X.astype(int).tolist()],
    ids=["strides", "big-endian", "list", "tuple", "whole numbers"],
)
def test_what_numpy_can_convert(graph, array):
    np.testing.assert_allclose(graph.run({"x": array})["y"], normed(np.asarray(array, np.float32)), rtol=1e-5)


def test_dlpack_in_and_out(graph):
    class Exporter:  # another framework's tensor: nothing but the protocol
        def __dlpack__(self, **options):
            return X.__dlpack__(**options)

        def __dlpack_device__(self):
            return X.__dlpack_device__()

    class Turned:  # one whose rows do not lie side by side
        def __dlpack__(self, **options):
            return X[:, ::2].__dlpack__(**options)

        def __dlpack_device__(self):
            return X.__dlpack_device__()

    class Elsewhere:  # one in the memory of a GPU
        def __dlpack__(self, **options):
            raise BufferError("not on the host")

        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(qopt.Error, match=r"expected .*8"):  # it was read: its shape is [3, 4]
        graph.run({"x": Turned()})
    with pytest.raises(qopt.Error, match="input 'x' is no contiguous array in the memory of the host"):
        graph.run({"x": Elsewhere()})
    out = graph.run({"x": Exporter()})["y"]
    np.testing.assert_allclose(np.from_dlpack(out), normed(X), rtol=1e-5)


def test_results_outlive_the_model(artifacts):
    y = qopt.load(artifacts / "graph.qopt").run({"x": X})["y"]
    np.testing.assert_allclose(y, normed(X), rtol=1e-5)


def test_generate_ids(decoder):
    result = decoder.generate([4, 5, 6], max_tokens=9)
    assert len(result.tokens) == 9 and result.prompt_tokens == 3 and result.finish == "length"
    assert result.text is None
    prompt = [4, 5, 6]
    for token in result.tokens[:3]:  # greedy: the largest logit of the last position
        assert decoder.logits(prompt)[-1].argmax() == token
        prompt.append(token)


def test_sampling_options(decoder):
    def tokens(**options):
        return decoder.generate([1], max_tokens=16, **options).tokens

    assert tokens(temperature=2, seed=1) == tokens(temperature=2, seed=1) != tokens(temperature=2, seed=2)
    assert tokens(temperature=2, seed=1, top_k=1) == tokens()


def test_callback_stops_and_raises(decoder):
    seen = []
    result = decoder.generate([1], max_tokens=50, callback=lambda token: seen.append(token) or len(seen) < 4)
    assert result.tokens[:4] == seen and len(seen) == 4 and result.finish == "cancelled"

    def fail(token):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        decoder.generate([1], callback=fail)
    assert decoder.generate([1], max_tokens=2).finish == "length"  # it still works


def test_threads_take_turns(decoder):
    expected = decoder.generate([1, 2], max_tokens=20).tokens
    found = []
    work = [threading.Thread(target=lambda: found.append(decoder.generate([1, 2], max_tokens=20))) for _ in range(4)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert [result.tokens for result in found] == [expected] * 4


def test_errors_have_codes(graph, decoder, artifacts, tmp_path):
    damaged = tmp_path / "damaged.qopt"
    damaged.write_bytes((artifacts / "graph.qopt").read_bytes()[:-1])
    code = qopt.ErrorCode
    cases = [
        (lambda: qopt.load("none.qopt"), code.NOT_FOUND, "none.qopt"),
        (lambda: qopt.load(damaged), code.BAD_ARTIFACT, "damaged.qopt"),
        (lambda: qopt.load(artifacts / "graph.qopt", threads=-1), code.INVALID_ARGUMENT, "threads"),
        (lambda: graph.run({}), code.INVALID_ARGUMENT, "x"),
        (lambda: graph.run({"x": X[:, :4]}), code.INVALID_ARGUMENT, "expected"),
        (lambda: graph.run({"x": X.astype(complex)}), code.UNSUPPORTED, "'x' has elements of a type"),
        (lambda: graph.generate([1]), code.INVALID_ARGUMENT, "is a graph; use run"),
        (lambda: decoder.run({}), code.INVALID_ARGUMENT, "writes text"),
        (lambda: decoder.generate("text"), code.INVALID_ARGUMENT, "has no tokenizer"),
        (lambda: decoder.generate([50]), code.INVALID_ARGUMENT, "outside the vocabulary of 50"),
        (lambda: decoder.generate([1] * 101), code.INFEASIBLE, "context"),
        (lambda: decoder.generate([1], top_p=2), code.INVALID_ARGUMENT, "top-p"),
        (lambda: qopt.Tokenizer.from_json("{"), code.BAD_MODEL, "tokenizer"),
        (lambda: graph.run(5), code.INVALID_ARGUMENT, "inputs must be a mapping from names to arrays, got int"),
        (lambda: graph.run({3: X}), code.INVALID_ARGUMENT, "names as keys, got 3"),
        (lambda: graph.run({"x": [[1, 2], [3]]}), code.INVALID_ARGUMENT, "input 'x' cannot be made an array"),
        (lambda: graph.run({"x": ["a"]}), code.INVALID_ARGUMENT, "input 'x' cannot be made an array of numbers"),
        (lambda: graph.run({"x": {}}), code.INVALID_ARGUMENT, "input 'x'"),
        (lambda: graph.run({"x": [1j] * 8}), code.INVALID_ARGUMENT, "input 'x' has elements of type complex128"),
        (lambda: decoder.generate(5), code.INVALID_ARGUMENT, "a text or a sequence of token ids, got 5"),
        (lambda: decoder.generate([1.5]), code.INVALID_ARGUMENT, "token ids"),
        (lambda: decoder.generate([2**40]), code.INVALID_ARGUMENT, "outside the vocabulary of 50"),
        (lambda: decoder.generate([1], seed=-1), code.INVALID_ARGUMENT, "seed must be from 0 to"),
        (lambda: decoder.generate([1], seed="x"), code.INVALID_ARGUMENT, "seed must be a whole number, got 'x'"),
        (lambda: decoder.generate([1], temperature="hot"), code.INVALID_ARGUMENT, "temperature must be a number"),
        (lambda: decoder.generate([1], max_tokens=0), code.INVALID_ARGUMENT, "max_tokens must be from 1"),
        (lambda: qopt.load(artifacts / "graph.qopt", threads=2**40), code.INVALID_ARGUMENT, "threads must be from 0"),
        (lambda: qopt.load(artifacts / "decoder.qopt", tokenizer=tmp_path / "no.json"), code.NOT_FOUND, "no.json"),
    ]
    for call, expected, message in cases:
        with pytest.raises(qopt.Error, match=message) as caught:
            call()
        assert caught.value.code == expected, caught.value


def test_a_pipe_is_no_file(artifacts, tmp_path):
    """Nobody writes to it; nothing waits for that."""
    os.mkfifo(tmp_path / "pipe")
    for call in (
        lambda: qopt.load(tmp_path / "pipe"),
        lambda: qopt.load(artifacts / "decoder.qopt", tokenizer=tmp_path / "pipe"),
    ):
        with pytest.raises(qopt.Error, match="pipe': it is not a file") as caught:
            call()
        assert caught.value.code == qopt.ErrorCode.NOT_FOUND


def test_a_prompt_is_neither_cut_nor_padded(stories, stories_artifact, tmp_path):
    """What the tokenizer's file says of lengths holds where a text is encoded for its own sake."""
    tokenizer = json.loads((stories / "tokenizer.json").read_text())
    whole = qopt.load(stories_artifact)
    prompt = "Once upon a time there was a little girl"
    ids = whole.tokenizer.encode(prompt)
    padding = {"strategy": {"Fixed": 40}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"}
    tokenizer["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    tokenizer["padding"] = padding
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    model = qopt.load(stories_artifact, tokenizer=tmp_path)
    assert len(ids) > 4 and model.tokenizer.encode(prompt) == ids[:4] + [0] * 36
    assert model.tokenizer.encode_whole(prompt) == ids
    assert model.generate(prompt, max_tokens=20).text == whole.generate(prompt, max_tokens=20).text


def test_a_tokenizer_must_fit_the_model(artifacts, stories):
    with pytest.raises(qopt.Error, match=r"tokenizer.json': .* the model has 50 rows") as caught:
        qopt.load(artifacts / "decoder.qopt", tokenizer=stories)
    assert caught.value.code == qopt.ErrorCode.BAD_MODEL


def test_tokenizer(stories):
    tokenizer = qopt.Tokenizer.from_json((stories / "tokenizer.json").read_text())
    golden = json.loads((stories / "generate.json").read_text())
    assert tokenizer.encode(golden["prompt"]) == golden["prompt_ids"]
    assert tokenizer.decode(golden["prompt_ids"] + golden["new_ids"]) == golden["text"]
    assert tokenizer.vocabulary_size == 512
    assert tokenizer.id_to_token(tokenizer.token_to_id("▁the")) == "▁the"


def test_running_needs_no_compiler(artifacts):
    program = "import sys, qopt; qopt.load(sys.argv[1]); assert 'qopt._compiler' not in sys.modules"
    subprocess.run([sys.executable, "-c", program, artifacts / "graph.qopt"], check=True)


@needs_compiler
def test_example_of_the_readme(stories, artifacts, tmp_path, monkeypatch, capsys):
    readme = (pathlib.Path(__file__).resolve().parents[2] / "python/README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encoder.qopt").write_bytes((artifacts / "graph.qopt").read_bytes())
    for name in ("model.onnx", "tokenizer.json", "config.json", "generation_config.json"):
        (tmp_path / name).write_bytes((stories / name).read_bytes())
    # The small model's 172 columns are no multiple of 32.
    exec(example.replace("int4_g32", "int8"), {"array": X})
    assert "Once upon a time, there was" in capsys.readouterr().out


@needs_compiler
def test_compile_and_generate(stories, tmp_path):
    summary = qopt.compile(stories / "model.onnx", tmp_path / "model.qopt")
    assert summary.kind == "decoder" and summary.raised_layers == summary.layers == 5
    assert summary.artifact_bytes == (tmp_path / "model.qopt").stat().st_size
    golden = json.loads((stories / "generate.json").read_text())
    model = qopt.load(tmp_path / "model.qopt")
    result = model.generate(golden["prompt"], max_tokens=200, ignore_end=True)
    assert result.tokens == golden["new_ids"] and result.text == golden["text"]
    pieces = list(model.stream(golden["prompt"], max_tokens=200, ignore_end=True))
    assert len(pieces) > 100 and golden["prompt"] + "".join(pieces) == golden["text"]


@needs_compiler
def test_compile_warns(shared, tmp_path):
    with pytest.warns(UserWarning, match="--weights int8 leaves weights as the file has quantized them"):
        summary = qopt.compile(shared / "zoo/stories260k-matmulnbits4", tmp_path / "model.qopt", weights="int8")
    assert len(summary.warnings) == 1


@needs_compiler
def test_compile_errors(stories, tmp_path):
    with pytest.raises(qopt.Error, match="int5") as caught:
        qopt.compile(stories / "model.onnx", tmp_path / "model.qopt", weights="int5")
    assert caught.value.code == qopt.ErrorCode.INVALID_ARGUMENT
    for option, message in {
        "threads": "threads is -1; expected a number from 0 to 1024",
        "weights": "weights is -1; expected a text",
        "lm_head": "lm_head is -1; expected a text",
        "formats": "formats is -1; expected a list",
    }.items():
        with pytest.raises(qopt.Error, match=message):
            qopt.compile(stories / "model.onnx", tmp_path / "model.qopt", **{option: -1})
    with pytest.raises(qopt.Error, match="no.onnx"):
        qopt.compile(tmp_path / "no.onnx", tmp_path / "model.qopt")
    assert list(tmp_path.iterdir()) == []
