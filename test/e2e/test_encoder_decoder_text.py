"""A folder with the files of an encoder-decoder: text from what was encoded, token for token as onnxruntime's."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import qopt
from e2e.test_zoo import F32

USAGE, NOT_FOUND = 2, 9
FAMILIES = pytest.mark.parametrize("family", ["t5", "whisper"])
START = {"t5": 0, "whisper": 3}  # decoder_start_token_id of config.json
COUNT = 12


@pytest.fixture(scope="module")
def compiled(shared, tmp_path_factory):
    """compiled("t5"): the folder, its artifact and what the compiler said."""
    done = {}

    def get(family):
        if family not in done:
            folder = shared / "zoo/families" / f"{family}-optimum"
            artifact = tmp_path_factory.mktemp(family) / "model.qopt"
            done[family] = folder, artifact, qopt.compile(folder, artifact, activations="f32")
        return done[family]

    return get


def sources(family):
    """Inputs of an encoder, one sequence each; those of text have several lengths."""
    random = np.random.default_rng(7)
    if family == "whisper":
        return [{"input_features": random.standard_normal((1, 16, 80), dtype=np.float32)} for _ in range(3)]
    return [{"input_ids": random.integers(2, 256, (1, length))} for length in (1, 11, 37)]


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run(graph, inputs):
    taken = {spec.name for spec in graph.get_inputs()}
    names = [spec.name for spec in graph.get_outputs()]
    return dict(zip(names, graph.run(names, {key: inputs[key] for key in taken}), strict=True))


def encode(folder, source):
    """What the decoder without a past takes beside its tokens."""
    length = source["input_ids"].shape[1] if "input_ids" in source else 0
    ones = np.ones((1, length), np.int64)
    hidden = run(session(folder / "encoder_model.onnx"), source | {"attention_mask": ones})["last_hidden_state"]
    return {"encoder_hidden_states": hidden, "encoder_attention_mask": ones}


def first_logits(folder, source, tokens):
    state = encode(folder, source) | {"input_ids": np.array([tokens])}
    return run(session(folder / "decoder_model.onnx"), state)["logits"][0]


def greedy(folder, source, start, count):
    """The tokens that the files make one after the other, and by how much each was ahead."""
    first, step = (session(folder / f"{name}_model.onnx") for name in ("decoder", "decoder_with_past"))
    state = encode(folder, source)
    tokens, margins, graph = [start], [], first
    while len(tokens) <= count:
        results = run(graph, state | {"input_ids": np.array([tokens[-1:]])})
        state |= {name.replace("present", "past_key_values"): value for name, value in results.items()}
        ranked = np.sort(results["logits"][0, -1])
        margins.append(ranked[-1] - ranked[-2])
        tokens.append(int(results["logits"][0, -1].argmax()))
        graph = step
    return tokens[1:], min(margins)


def generate(tool, artifact, source, path, *options):
    np.savez(path, **source)
    shown = tool("qopt-run", artifact, "--inputs", path, "--max-tokens", str(COUNT), "--ignore-end", "--json", *options)
    return json.loads(shown.stdout)["tokens"]


@FAMILIES
def test_text_is_what_onnxruntime_makes_of_the_files(compiled, tool, tmp_path, family):
    folder, artifact, summary = compiled(family)
    assert summary.kind == "decoder" and summary.layers == summary.raised_layers == 6  # 2 of the encoder
    for source in sources(family):
        expected, margin = greedy(folder, source, START[family], COUNT)
        assert margin > 1e-4
        assert generate(tool, artifact, source, tmp_path / "source.npz") == expected


@FAMILIES
def test_logits_of_a_prompt(compiled, tool, tmp_path, family):
    folder, artifact, _ = compiled(family)
    tokens = [START[family], 17, 200, 3, 99, 4, 4]
    model = qopt.load(artifact)
    for source in sources(family):
        expected = first_logits(folder, source, tokens)
        difference = np.abs(model.logits(tokens, source=source) - expected).max()
        assert difference <= F32 * np.abs(expected).max()
    np.savez(tmp_path / "source.npz", **source)
    np.savez(tmp_path / "logits.npz", logits=expected)
    prompt = ("--tokens", ",".join(map(str, tokens)), "--inputs", tmp_path / "source.npz")
    tool("qopt-run", artifact, *prompt, "--compare", tmp_path / "logits.npz", "--tolerance", str(F32))


def test_python_takes_sources(compiled, tool, tmp_path):
    _, artifact, _ = compiled("t5")
    model = qopt.load(artifact)
    assert [(spec.name, spec.type) for spec in model.inputs] == [("input_ids", "i64")]
    for source in sources("t5"):
        written = model.generate([], source=source, max_tokens=COUNT, ignore_end=True).tokens
        assert written == generate(tool, artifact, source, tmp_path / "source.npz")
    with pytest.raises(qopt.Error, match="there is no source, and the model is an encoder-decoder"):
        model.logits([0])
    with pytest.raises(qopt.Error, match='input "input_ids" is missing|no input is named "ids"'):
        model.generate([0], source={"ids": np.zeros((1, 3), np.int64)})


@FAMILIES
def test_a_folder_with_a_merged_decoder(compiled, tool, tmp_path, family):
    folder, split, _ = compiled(family)
    (tmp_path / "onnx").mkdir()
    for name in ("encoder_model.onnx", "decoder_model_merged.onnx"):
        shutil.copy(folder / name, tmp_path / "onnx" / name)
    for name in ("config.json", "generation_config.json"):
        shutil.copy(folder / name, tmp_path / name)
    artifact = tmp_path / "merged.qopt"
    qopt.compile(tmp_path, artifact, activations="f32")
    source = sources(family)[1]
    assert generate(tool, artifact, source, tmp_path / "a.npz") == generate(tool, split, source, tmp_path / "b.npz")


@FAMILIES
def test_weights_that_encoder_and_decoder_share_are_stored_once(compiled, tool, family):
    _, artifact, _ = compiled(family)
    shown = json.loads(tool("qopt-inspect", artifact, "--json").stdout)
    digests = [segment["sha256"] for segment in shown["segments"] if segment["kind"] == "Weight"]
    assert len(set(digests)) == len(digests) == shown["weights"]["weights"]
    assert [function["name"] for function in shown["functions"]] == ["step", "encode"]


def test_inspect_tells_sources(compiled, tool):
    _, artifact, _ = compiled("whisper")
    model = json.loads(tool("qopt-inspect", artifact, "--json").stdout)["model"]
    assert model["source"] == 40 and [spec["name"] for spec in model["inputs"]] == ["input_features"]
    assert [layer["source"] for layer in model["cache_layers"]] == [False, False, True, True]
    shown = tool("qopt-inspect", artifact).stdout
    assert "sources of up to 40 positions" in shown and "values 16 x f32, of sources" in shown


def test_a_prompt_goes_ahead_of_the_text(compiled, tool, tmp_path):
    """As Whisper's language and task do."""
    folder, artifact, _ = compiled("whisper")
    source = sources("whisper")[0]
    expected, _ = greedy(folder, source, START["whisper"], COUNT + 2)
    prompt = ",".join(map(str, [START["whisper"], *expected[:2]]))
    assert generate(tool, artifact, source, tmp_path / "source.npz", "--tokens", prompt) == expected[2:]


@pytest.mark.parametrize("cache", ["f16", "int8"])
def test_formats_of_the_cache_are_those_of_sources_too(compiled, tool, tmp_path, cache):
    folder, _, _ = compiled("whisper")
    artifact = tmp_path / "model.qopt"
    qopt.compile(folder, artifact, activations="f32", kv=cache)
    expected, margin = greedy(folder, sources("whisper")[0], START["whisper"], 2)
    assert margin > 1e-2
    assert generate(tool, artifact, sources("whisper")[0], tmp_path / "source.npz")[:2] == expected


def test_formats_of_weights_of_either_part(compiled, tool, tmp_path):
    folder, _, _ = compiled("t5")
    artifact, given = tmp_path / "model.qopt", ("lm_head=int8", "re:^block.0=int8")
    options = [word for entry in given for word in ("--format", entry)]
    tool("qopt-compile", folder, "-o", artifact, *options, "--activation-format", "lm_head=f32")
    shown = json.loads(tool("qopt-inspect", artifact, "--json").stdout)
    changed = {
        weight["name"].partition(".layer")[0] for weight in shown["weights"]["list"] if weight["format"] == "int8"
    }
    assert changed == {"lm_head", "block.0"}
    assert {entry for name, entry in shown["manifest"]["options"].items() if name.startswith("format.")} == set(given)
    tool("qopt-compile", folder, "-o", artifact, "--lm-head", "int8")
    assert '--format "nothing=int8" matches no weight of the encoder or the decoder' in refused(
        tool, "qopt-compile", folder, "-o", artifact, *options, "--format", "nothing=int8"
    )


def refused(tool, *command):
    failed = tool(*command, check=False)
    assert failed.returncode == USAGE
    return failed.stderr


def test_what_is_no_source(compiled, tool, tmp_path):
    _, artifact, _ = compiled("t5")
    assert "there is no source, and the model is an encoder-decoder; give the encoder's inputs" in refused(
        tool, "qopt-run", artifact
    )
    for array, words in (
        ({"input_features": np.zeros((1, 2), np.float32)}, "lacks the input 'input_ids'"),
        ({"input_ids": np.zeros((1, 2), np.float32)}, 'input "input_ids" has type f32; expected i64'),
        ({"input_ids": np.zeros((2, 2), np.int64)}, "batch_size = 2 and 1; expected equal sizes"),
    ):
        np.savez(tmp_path / "source.npz", **array)
        assert words in refused(tool, "qopt-run", artifact, "--inputs", tmp_path / "source.npz")
    np.savez(tmp_path / "source.npz", input_ids=np.full((1, 3), 256))
    failed = tool("qopt-run", artifact, "--inputs", tmp_path / "source.npz", check=False)
    assert failed.returncode != 0 and "256" in failed.stderr
    np.savez(tmp_path / "source.npz", input_ids=np.zeros((1, 2049), np.int64))
    failed = tool("qopt-run", artifact, "--inputs", tmp_path / "source.npz", check=False)
    assert "the encoder makes 2049 positions of the source; expected 1 to 2048" in failed.stderr


def test_keys_of_sources_have_no_groups_of_positions(compiled, tool, tmp_path):
    folder, _, _ = compiled("whisper")
    said = refused(tool, "qopt-compile", folder, "-o", tmp_path / "model.qopt", "--kv", "int4_asym_g32_zf,f16")
    assert "keys of what an encoder made are read by position" in said


def test_a_decoder_without_steps(shared, tool, tmp_path):
    folder = shared / "zoo/families/t5-optimum"
    for name in ("encoder_model.onnx", "decoder_model.onnx"):
        shutil.copy(folder / name, tmp_path / name)
    failed = tool("qopt-compile", tmp_path, "-o", tmp_path / "model.qopt", "--as", "decoder", check=False)
    assert failed.returncode == NOT_FOUND
    assert "has no decoder_with_past_model.onnx and no decoder_model_merged.onnx" in failed.stderr
