"""The Python package: arrays and text in and out, errors with codes, threads and types."""

import ast
import concurrent.futures
import copy
import importlib
import importlib.util
import inspect
import json
import multiprocessing
import os
import pathlib
import pickle
import re
import subprocess
import sys
import threading
import typing

import numpy as np
import pytest

qopt = pytest.importorskip("qopt", reason="the Python module was not built")
needs_compiler = pytest.mark.skipif(importlib.util.find_spec("qopt._compiler") is None, reason="built without LLVM")
if importlib.util.find_spec("qopt.options"):
    from qopt.options import CompileOptions
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
    for said, finish in ((np.False_, "cancelled"), (np.True_, "length"), (None, "length"), (0, "length")):
        assert decoder.generate([1], max_tokens=2, callback=lambda token, said=said: said).finish == finish


def test_a_callback_cannot_call_its_model(decoder, stories_artifact):
    """A thread would wait for itself. It is told so, and the model works on; other threads wait."""
    model = qopt.load(stories_artifact, threads=1)
    begun = model.stream("Once", max_tokens=400)
    assert next(begun)
    for call in (
        lambda token: model.logits([1, 2]),
        lambda token: model.generate([1]),
        lambda token: next(model.stream("Once")),
        lambda token: list(begun),
    ):
        with pytest.raises(qopt.Error, match="the model is in use by this thread: a callback cannot call") as caught:
            model.generate("hi", callback=call)
        assert caught.value.code == qopt.ErrorCode.INVALID_ARGUMENT
    assert len(model.generate("hi", max_tokens=2, callback=lambda token: decoder.logits([1]) is not None).tokens) == 2
    found = []
    other = threading.Thread(target=lambda: found.append(model.logits([1, 2])))
    model.generate("hi", max_tokens=3, callback=lambda token: other.is_alive() or other.ident or other.start())
    other.join()
    assert found[0].shape == (2, 512)


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
        (lambda: decoder.generate([1], top_p=2), code.INVALID_ARGUMENT, "^top_p must be"),
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


def test_arguments_of_another_type(decoder, graph, stories, artifacts):
    """What Python would convert in silence is an error that names the argument, what is expected and what came."""
    tokenizer = qopt.Tokenizer.from_json((stories / "tokenizer.json").read_text())
    ids = "must be a text or a sequence of token ids, got "
    for call, message in (
        (lambda: decoder.generate(b"hi"), f"the prompt {ids}b'hi'"),
        (lambda: decoder.generate(bytearray(b"hi")), f"the prompt {ids}bytearray"),
        (lambda: decoder.generate({1, 2}), f"the prompt {ids}{{1, 2}}"),
        (lambda: decoder.generate({1: 2}), f"the prompt {ids}{{1: 2}}"),
        (lambda: decoder.logits([True, 1]), f"the prompt {ids}[True, 1]"),
        (lambda: decoder.generate([1], temperature="0.5"), "temperature must be a number, got '0.5'"),
        (lambda: decoder.generate([1], temperature=True), "temperature must be a number, got True"),
        (lambda: decoder.generate([1], temperature=1, top_p=b"1"), "top_p must be a number, got b'1'"),
        (lambda: decoder.generate([1], max_tokens=True), "max_tokens must be a whole number, got True"),
        (lambda: decoder.generate([1], temperature=1, seed=np.True_), "seed must be a whole number, got "),
        (lambda: decoder.generate([1], ignore_end="no"), "ignore_end is 'no'; expected True or False"),
        (lambda: decoder.generate([1], ignore_end=0), "ignore_end is 0; expected True or False"),
        (lambda: decoder.generate([1], callback=5), "callback is 5; expected a function that takes a token, or None"),
        (lambda: qopt.load(artifacts / "graph.qopt", trust="no"), "trust is 'no'; expected True or False"),
        (lambda: qopt.load(artifacts / "graph.qopt", threads=True), "threads must be a whole number, got True"),
        (lambda: qopt.load(artifacts / "graph.qopt", device=5), "device is 5; expected a text"),
        (lambda: tokenizer.encode(5), "text is 5; expected a text"),
        (lambda: tokenizer.encode_whole(b"a"), "text is b'a'; expected a text"),
        (lambda: tokenizer.encode("a", 1), "special_tokens is 1; expected True or False"),
        (lambda: tokenizer.decode(5), "ids must be a sequence of token ids, got 5"),
        (lambda: tokenizer.decode([1], "no"), "special_tokens is 'no'; expected True or False"),
        (lambda: tokenizer.text_of(b"ab"), "ids must be a sequence of token ids, got b'ab'"),
        (lambda: tokenizer.stream().push("a"), "token must be a whole number, got 'a'"),
        (lambda: tokenizer.stream().push(True), "token must be a whole number, got True"),
        (lambda: qopt.load(artifacts / "graph.qopt", device=""), "device is empty; expected a value"),
        (lambda: tokenizer.token_to_id(5), "token is 5; expected a text"),
        (lambda: tokenizer.id_to_token("a"), "id must be a whole number, got 'a'"),
        (lambda: tokenizer.check_vocabulary(None), "size must be a whole number, got None"),
        (lambda: qopt.Tokenizer(5), "json is 5; expected a text"),
        (lambda: qopt.Tokenizer.from_json(b"{}"), "json is b'{}'; expected a text"),
    ):
        with pytest.raises(qopt.Error, match=re.escape(message)) as caught:
            call()
        assert caught.value.code == qopt.ErrorCode.INVALID_ARGUMENT
    for prompt in ((1, 2), range(1, 3), np.array([1, 2]), iter([1, 2])):
        assert decoder.generate(prompt, max_tokens=1, ignore_end=np.True_, temperature=np.float32(0)).prompt_tokens == 2


def test_options_of_draws(decoder, stories_artifact):
    """Without draws they have no effect; what is out of range is told first, under Python's names."""
    for name, value in (("top_k", 0), ("top_p", 0.5), ("min_p", 0.1), ("seed", 7)):
        with pytest.raises(qopt.Error, match=f"^{name} is for tokens that are drawn, and temperature is 0"):
            decoder.generate([1], **{name: value})
        assert decoder.generate([1], max_tokens=1, temperature=1, **{name: value}).tokens
    assert decoder.generate([1], max_tokens=1, repetition_penalty=2).tokens
    for name, value in (("temperature", np.inf), ("repetition_penalty", 0), ("top_p", 2), ("min_p", -1)):
        with pytest.raises(qopt.Error, match=f"^{name} must be "):
            decoder.generate([1], **{name: value})
    with pytest.raises(qopt.Error, match="callback is for generate; stream gives the text itself, leave it out"):
        next(qopt.load(stories_artifact).stream("Once", callback=print))


class Detailed(qopt.Error):
    """A user's own."""

    def __init__(self, name, detail):
        super().__init__(f"{name} failed", qopt.ErrorCode.INTERNAL)
        self.detail = detail


def fail_elsewhere(path):
    qopt.load(path)


def test_errors_can_be_copied():
    """An error of another process arrives as what it is."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(qopt.Error, match=r"none\.qopt") as caught:
            pool.submit(fail_elsewhere, "none.qopt").result()
        assert caught.value.code is qopt.ErrorCode.NOT_FOUND
        assert pool.submit(abs, -1).result() == 1
    error = Detailed("it", [1])
    error.__notes__ = ["a note"]
    copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for same in (*copies, copy.copy(error)):
        assert type(same) is Detailed and str(same) == "it failed" and same.code is qopt.ErrorCode.INTERNAL
        assert same.detail == [1] and same.__notes__ == ["a note"]


def test_a_pipe_is_no_file(artifacts, tmp_path):
    """Nobody writes to it; nothing waits for that."""
    os.mkfifo(tmp_path / "pipe")
    for call in (
        lambda: qopt.load(tmp_path / "pipe"),
        lambda: qopt.load(artifacts / "decoder.qopt", tokenizer=tmp_path / "pipe"),
    ):
        with pytest.raises(qopt.Error, match="pipe': it is a pipe.*; expected a regular file") as caught:
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
    for unknown in (512, 99999, -1):
        with pytest.raises(qopt.Error, match=f"token {unknown} is not in the tokenizer's vocabulary of 512") as caught:
            tokenizer.decode([1, unknown])
        assert caught.value.code == qopt.ErrorCode.INVALID_ARGUMENT


def test_ids_without_text(artifacts, tmp_path):
    """A model may have more rows than its tokenizer tokens; what it writes of them is no error, and no text."""
    words = {str(number): number for number in range(25)}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "0"}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": model}))
    model = qopt.load(artifacts / "decoder.qopt", tokenizer=tmp_path)
    result = model.generate([1], max_tokens=60, temperature=3, seed=1)
    assert max(result.tokens) >= 25 and result.text == " ".join(str(t) for t in [1, *result.tokens] if t < 25)


def test_a_prompt_has_tokens(decoder, stories_artifact):
    """As in C; a text may be empty where the model has a begin token."""
    model = qopt.load(stories_artifact)
    for prompt in ([], (), np.array([], np.int64)):
        for call in (decoder.generate, decoder.logits, model.generate, model.logits):
            with pytest.raises(qopt.Error, match="the prompt has no tokens; give a text or at least one id") as caught:
                call(prompt)
            assert caught.value.code == qopt.ErrorCode.INVALID_ARGUMENT
    assert model.generate("", max_tokens=4).tokens == model.generate([1], max_tokens=4).tokens


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
def test_output_is_called_like_the_model(stories, tmp_path, monkeypatch):
    """The default of qopt-compile too: the file's name, or its folder's, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for model, name in ((stories / "model.onnx", "model.qopt"), (f"{stories}/", "stories260k.qopt")):
        assert qopt.compile(model).output == name
        assert (tmp_path / name).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.qopt", "stories260k.qopt"]


@needs_compiler
def test_options_are_those_of_the_tool(tool):
    """Every option of qopt-compile but those that print, under its name; and the typed dictionary has the same."""
    listed = set(re.findall(r"^ +(?:-\w,)?--([a-z0-9-]+)", tool("qopt-compile", "--help").stdout, re.MULTILINE))
    printed = {"help", "version", "emit", "json", "remarks", "report", "blame", "check"}
    names = {name.replace("-", "_").replace("as", "as_") if name == "as" else name.replace("-", "_") for name in listed}
    parameters = inspect.signature(qopt.compile).parameters
    assert len(listed) > 15
    assert names - printed == set(parameters) - {"model", "unknown"}
    assert set(typing.get_type_hints(CompileOptions)) == set(parameters) - {"model", "output", "unknown"}


@needs_compiler
def test_budgets_and_plans_reach_the_compiler(stories, tmp_path, tool):
    (tmp_path / "t.txt").write_text("Once upon a time there was a little girl named Lily. " * 200)
    plans = tmp_path / "tool.json", tmp_path / "python.json"
    budget = ("--bits", 5, "--max-size", 300000, "--candidates", "int3_asym,int8", "--algorithm", "rtn")
    arguments = (*budget, "--calibrate", tmp_path / "t.txt", "--save-plan", plans[0])
    tool("qopt-compile", stories, *arguments, "-o", tmp_path / "a.qopt")
    options = {"bits": 5, "max_size": 300000, "candidates": ["int3_asym", "int8"], "algorithm": "rtn"}
    qopt.compile(stories, tmp_path / "b.qopt", calibrate=tmp_path / "t.txt", save_plan=plans[1], **options)
    assert plans[0].read_bytes() == plans[1].read_bytes()
    assert (tmp_path / "a.qopt").read_bytes() == (tmp_path / "b.qopt").read_bytes()
    summary = qopt.compile(stories, tmp_path / "c.qopt", plan=plans[1])
    assert {weight.format for weight in summary.weights} == {"int3_asym", "int8"}
    with pytest.raises(qopt.Error, match="bits must be from 1 to 32, got 0"):
        qopt.compile(stories, bits=0)


@needs_compiler
def test_options_reach_the_compiler(stories, tmp_path, tool):
    """Each of them: the artifact has the bytes of the tool's with the same options."""
    options = {
        "weights": ("int8", ["--weights", "int8"]),
        "lm_head": ("f16", ["--lm-head", "f16"]),
        "embedding": ("bf16", ["--embedding", "bf16"]),
        "format": (["re:^node_linear_3$=int8", "re:^node_linear_4$=f16"], []),
        "activations": ("f32", ["--activations", "f32"]),
        "kv": ("f16", ["--kv", "f16"]),
        "kv_format": ("cache.1.value=int8", ["--kv-format", "cache.1.value=int8"]),
        "calibrate": (tmp_path / "t.txt", ["--calibrate", tmp_path / "t.txt"]),
        "algorithm": ("gptq", ["--algorithm", "gptq"]),
        "calibrate_tokens": (1024, ["--calibrate-tokens", 1024]),
        "calibrate_inputs": ("original", ["--calibrate-inputs", "original"]),
        "context": (64, ["--context", 64]),
        "cpu": ("x86-64-v2", ["--cpu", "x86-64-v2"]),
        "tokenizer": (stories / "tokenizer.json", ["--tokenizer", stories / "tokenizer.json"]),
        "threads": (1, ["--threads", 1]),
    }
    (tmp_path / "t.txt").write_text("Once upon a time there was a little girl named Lily. " * 200)
    arguments = [word for _, words in options.values() for word in words]
    for entry in options["format"][0]:
        arguments += ["--format", entry]
    tool("qopt-compile", stories, *arguments, "-o", tmp_path / "tool.qopt")
    qopt.compile(stories, tmp_path / "python.qopt", **{name: value for name, (value, _) in options.items()})
    assert (tmp_path / "python.qopt").read_bytes() == (tmp_path / "tool.qopt").read_bytes()
    graph = qopt.compile(stories, tmp_path / "graph.qopt", as_="graph", format="re:^node_linear_3$=int8")
    assert graph.kind == "graph" and sum(weight.format == "int8" for weight in graph.weights) == 1
    with pytest.raises(qopt.Error, match="generic"):
        qopt.compile(stories, tmp_path / "strict.qopt", as_="graph", strict=True)


@needs_compiler
def test_compile_for_gpus(stories, tmp_path, tool):
    options = ["--target", "cuda", "--arch", "sm_80", "--kv", "int8,int4", "-o", tmp_path / "tool.qopt", "--json"]
    told = json.loads(tool("qopt-compile", stories, *options).stdout)
    summary = qopt.compile(stories, tmp_path / "python.qopt", target="cuda", arch="sm_80", kv="int8,int4")
    assert (tmp_path / "python.qopt").read_bytes() == (tmp_path / "tool.qopt").read_bytes()
    assert [kernel["symbol"] for kernel in summary.kernels] == [kernel["symbol"] for kernel in told["kernels"]]
    (step,) = summary.steps
    assert step["predicted"]["seconds"] == told["steps"][0]["predicted"]["seconds"]
    assert step["sampling"]["predicted"]["seconds"] == told["steps"][0]["sampling"]["predicted"]["seconds"]
    assert "qopt.decoder" in qopt.emit(stories, "scheduled", target="cuda", arch="sm_80")


@needs_compiler
def test_the_device_is_chosen(stories, artifacts, tmp_path):
    qopt.compile(stories, tmp_path / "gpu.qopt", target="cuda")
    qopt.compile(stories, tmp_path / "host.qopt")
    model, host = qopt.load(tmp_path / "gpu.qopt", device="emulator"), qopt.load(tmp_path / "host.qopt", device="host")
    assert model.generate("Once", max_tokens=3).tokens == host.generate("Once", max_tokens=3).tokens
    for name in ("graph.qopt", "decoder.qopt"):
        with pytest.raises(qopt.Error, match='there is no device "tpu"'):
            qopt.load(artifacts / name, device="tpu")


def test_text_that_is_no_unicode(graph, decoder, stories, artifacts):
    """Surrogates alone are no characters: qopt.Error says so wherever a text is given."""
    tokenizer = qopt.Tokenizer.from_json((stories / "tokenizer.json").read_text())
    model = qopt.load(artifacts / "decoder.qopt", threads=1)
    model.tokenizer = tokenizer
    lone = "a\ud83d"
    for call in (
        lambda: model.generate(lone),
        lambda: list(model.stream(lone)),
        lambda: model.logits(lone),
        lambda: tokenizer.encode(lone),
        lambda: tokenizer.token_to_id(lone),
        lambda: qopt.Tokenizer.from_json(lone),
        lambda: graph.run({lone: X}),
        lambda: qopt.load(lone),
        lambda: qopt.load(artifacts / "decoder.qopt", tokenizer=lone),
    ):
        with pytest.raises(qopt.Error, match="is no text in Unicode") as caught:
            call()
        assert caught.value.code == qopt.ErrorCode.INVALID_ARGUMENT


def test_hints_can_be_read():
    """What an editor asks for: the hints of every public name, and stubs with the members that the modules have."""
    for name in qopt.__all__:
        value = getattr(qopt, name)
        if inspect.isclass(value):
            for member in vars(value).values():
                if inspect.isfunction(member):
                    typing.get_type_hints(member, vars(inspect.getmodule(value)) | {"numpy": np})
        elif inspect.isfunction(value):
            assert "return" in typing.get_type_hints(value)
    package = pathlib.Path(qopt.__file__).parent
    assert (package / "py.typed").exists()
    for stub in package.glob("*.pyi"):
        module = importlib.import_module(f"qopt.{stub.stem}")
        tree = ast.parse(stub.read_text())
        stubbed = {node.name: node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        present = {name for name, value in vars(module).items() if callable(value)}
        assert set(stubbed) == present, stub.name
        for name, node in stubbed.items():
            members = {n.name for n in getattr(node, "body", []) if isinstance(n, ast.FunctionDef)}
            assert all(hasattr(getattr(module, name), member) for member in members)


@needs_compiler
def test_compile_warns(shared, tmp_path):
    with pytest.warns(UserWarning, match="^weights int8 leaves weights as the file has quantized them"):
        summary = qopt.compile(shared / "zoo/stories260k-matmulnbits4", tmp_path / "model.qopt", weights="int8")
    assert len(summary.warnings) == 1


@needs_compiler
def test_compile_errors(stories, tmp_path):
    with pytest.raises(qopt.Error, match="int7") as caught:
        qopt.compile(stories / "model.onnx", tmp_path / "model.qopt", weights="int7")
    assert caught.value.code == qopt.ErrorCode.INVALID_ARGUMENT
    lone = "int8\ud800"
    for option, value, message in (
        ("threads", -1, "threads must be from 1 to 1024, got -1"),
        ("threads", 0, "threads must be from 1 to 1024, got 0"),
        ("threads", "2", "threads must be a whole number, got '2'"),
        ("context", 2**40, "context must be from 1 to"),
        ("context", 0, "context must be from 1 to 16777216, got 0"),
        ("context", True, "context must be a whole number, got True"),
        ("weights", -1, "weights is -1; expected a text"),
        ("lm_head", -1, "lm_head is -1; expected a text"),
        ("embedding", "", "embedding is empty; expected a value, or leave it out"),
        ("weights", lone, "weights is no text in Unicode: it has the surrogate U\\+D800 at 4"),
        ("format", -1, 'format is -1; expected a list of texts "NAME=FORMAT"'),
        ("format", [lone], "format is no text in Unicode"),
        ("format", [], "format is empty; expected a value"),
        ("strict", 1, "strict is 1; expected True or False"),
        ("as_", "encoder", "as_ is 'encoder'; expected one of automatic, decoder, graph"),
        ("target", "tpu", "target is 'tpu'; expected one of host, cuda"),
        ("arch", "sm_80", 'arch is for target="cuda"; leave it out'),
        ("kv", "int4_g16,f16", '^kv is "int4_g16,f16"; a group of keys is of 16 positions; expected a multiple of 32'),
        ("kv", "f0", '^kv: format "f0": unknown element type'),
        ("kv", ",", '^kv is ","; expected a format, or one of keys and one of values'),
        ("tokenizer", 3, "tokenizer is 3; expected a path"),
        (
            "wieghts",
            "int8",
            'there is no option "wieghts"; the options are activation_format, activations, algorithm, arch',
        ),
        ("as", "graph", 'there is no option "as"; it is called as_ here'),
    ):
        for call in (
            lambda given: qopt.compile(stories / "model.onnx", tmp_path / "model.qopt", **given),
            lambda given: qopt.emit(stories / "model.onnx", "quantized", **given),
        ):
            with pytest.raises(qopt.Error, match=message) as caught:
                call({option: value})
            assert caught.value.code == qopt.ErrorCode.INVALID_ARGUMENT
    with pytest.raises(qopt.Error, match='cpu is for target="host"'):
        qopt.compile(stories, target="cuda", cpu="x86-64-v3")
    for model, output in (("a\ud800.onnx", None), (stories, "b\ud800.qopt")):
        with pytest.raises(qopt.Error, match="is no text in Unicode"):
            qopt.compile(model, output)
    with pytest.raises(qopt.Error, match="stage is no text in Unicode"):
        qopt.emit(stories, "\udc80")
    with pytest.raises(qopt.Error, match="no.onnx"):
        qopt.compile(tmp_path / "no.onnx", tmp_path / "model.qopt")
    assert list(tmp_path.iterdir()) == []
