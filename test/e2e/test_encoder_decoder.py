"""A folder with the files of an encoder-decoder as graphs: one artifact of several, each as its golden of PyTorch."""

import json
import shutil
import struct

import pytest
import qopt
from e2e.test_zoo import F32, difference_from, load
from hostile.artifacts import PLAN_OFFSET, PLAN_SIZE, sign

USAGE, BAD_ARTIFACT, NOT_FOUND = 2, 8, 9
FUNCTIONS = ["encoder", "decoder", "decoder_with_past"]
FAMILIES = pytest.mark.parametrize("family", ["t5", "whisper"])


@pytest.fixture(scope="module")
def compiled(shared, tmp_path_factory):
    """compiled("t5"): the folder, its artifact and what the compiler said."""
    done = {}

    def get(family):
        if family not in done:
            folder = shared / "zoo/families" / f"{family}-optimum"
            artifact = tmp_path_factory.mktemp(family) / "model.qopt"
            done[family] = folder, artifact, qopt.compile(folder, artifact, activations="f32", as_="graph")
        return done[family]

    return get


def difference(model, golden):
    """What of a golden the function has no input for, only another branch of a merged file reads."""
    taken = {spec.name for spec in model.inputs}
    inputs = {key[3:]: value for key, value in golden.items() if key.startswith("in.") and key[3:] in taken}
    assert inputs.keys() == taken
    return difference_from(golden, model.run(inputs))


@FAMILIES
@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_is_its_golden(compiled, family, function):
    folder, artifact, _ = compiled(family)
    model = qopt.load(artifact, function=function)
    assert model.functions == FUNCTIONS and model.kind == "graph"
    golden = load(folder / f"golden_{function}.npz")
    assert {key[3:] for key in golden if key.startswith("in.")} == {spec.name for spec in model.inputs}
    worst, output = difference(model, golden)
    assert worst <= F32, output


@FAMILIES
def test_a_folder_with_a_merged_decoder(compiled, tmp_path, family):
    """The branches of decoder_model_merged.onnx are the two decoders."""
    folder, split, _ = compiled(family)
    (tmp_path / "onnx").mkdir()
    for name in ("encoder_model.onnx", "decoder_model_merged.onnx"):
        shutil.copy(folder / name, tmp_path / "onnx" / name)
    artifact = tmp_path / "merged.qopt"
    qopt.compile(tmp_path, artifact, activations="f32", as_="graph")
    assert qopt.load(artifact, function="encoder").functions == FUNCTIONS
    for function, call in (
        ("encoder", "encoder"),
        ("decoder", "merged_prefill"),
        ("decoder_with_past", "merged_decode"),
    ):
        worst, output = difference(qopt.load(artifact, function=function), load(folder / f"golden_{call}.npz"))
        assert worst <= F32, (function, output)
    assert artifact.stat().st_size < 1.1 * split.stat().st_size


@FAMILIES
def test_equal_weights_are_stored_once(compiled, tool, tmp_path, family):
    folder, artifact, summary = compiled(family)
    parts = 0
    for function in FUNCTIONS:
        path = tmp_path / f"{function}.qopt"
        qopt.compile(folder / f"{function}_model.onnx", path, activations="f32", as_="graph")
        parts += path.stat().st_size
    assert summary.artifact_bytes == artifact.stat().st_size < 0.75 * parts
    shown = json.loads(tool("qopt-inspect", artifact, "--json").stdout)
    digests = [segment["sha256"] for segment in shown["segments"]]
    assert len(set(digests)) == len(digests)
    assert summary.layers == summary.raised_layers == 10  # 2 of the encoder, 4 of each decoder


def test_the_tools_name_the_functions(compiled, tool):
    folder, artifact, _ = compiled("whisper")
    golden = folder / "golden_encoder.npz"  # without padding, which is nobody's
    run = ("qopt-run", artifact, "--inputs", golden, "--tolerance", F32, "--compare")
    tool(*run, golden, "--function", "encoder")
    tool(*run, artifact, "--function", "encoder")  # the same function of the other artifact
    several = tool(*run, golden, check=False)
    assert several.returncode == USAGE
    assert 'has several functions; choose "encoder", "decoder" or "decoder_with_past" with --function' in several.stderr
    unknown = tool(*run, golden, "--function", "encode", check=False)
    assert unknown.returncode == USAGE
    assert 'has no function "encode"; it has "encoder", "decoder" and "decoder_with_past"' in unknown.stderr
    shown = json.loads(tool("qopt-inspect", artifact, "--size", "decoder_sequence_length=3", "--json").stdout)
    assert [function["name"] for function in shown["functions"]] == FUNCTIONS
    assert [graph["name"] for graph in shown["model"]["graphs"]] == FUNCTIONS
    assert [spec["name"] for spec in shown["model"]["graphs"][0]["outputs"]] == ["last_hidden_state"]
    assert "encoder: inputs\n  input_features: f32[" in tool("qopt-inspect", artifact).stdout
    nowhere = tool("qopt-inspect", artifact, "--size", "nothing=3", check=False)
    assert nowhere.returncode == USAGE and 'no dimension of the inputs is called "nothing"' in nowhere.stderr


def test_python_asks_for_a_choice(compiled):
    _, artifact, _ = compiled("t5")
    with pytest.raises(
        qopt.Error, match='has several functions; choose "encoder", "decoder" or "decoder_with_past"$'
    ) as several:
        qopt.load(artifact)
    with pytest.raises(qopt.Error, match='has no function "main"; it has "encoder"') as unknown:
        qopt.load(artifact, function="main")
    assert several.value.code == unknown.value.code == qopt.ErrorCode.INVALID_ARGUMENT
    with pytest.raises(qopt.Error, match="function"):
        qopt.load(artifact, function=3)


def test_an_encoder_without_a_decoder(shared, tool, tmp_path):
    shutil.copy(shared / "zoo/families/t5-optimum/encoder_model.onnx", tmp_path)
    failed = tool("qopt-compile", tmp_path, "-o", tmp_path / "model.qopt", check=False)
    assert failed.returncode == NOT_FOUND and not (tmp_path / "model.qopt").exists()
    assert "has encoder_model.onnx, but neither decoder_model.onnx nor decoder_model_merged.onnx" in failed.stderr


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--check",), "--check"),
        (("--emit", "qopt"), "--emit"),
        (("--blame", "--validate", "TEXT"), "--blame"),
        (("--target", "cuda"), "--target cuda"),
        (("--target", "cuda", "--emit", "kernels", "--report"), "--emit"),
        (("--bits", "4.5", "--calibrate", "TEXT"), "--bits"),
        (("--input", "use_cache_branch=true"), "--input"),
    ],
)
def test_what_is_for_one_file(shared, tool, tmp_path, options, what):
    folder, text = shared / "zoo/families/t5-optimum", tmp_path / "text.txt"
    text.write_text("Once upon a time.\n" * 100)
    given = [text if option == "TEXT" else option for option in options]
    failed = tool("qopt-compile", folder, *given, check=False)
    assert failed.returncode == USAGE
    assert f"{what} is for one file, and the folder" in failed.stderr and "name one of " in failed.stderr


def test_two_functions_of_one_name(compiled, tool, tmp_path):
    """Signed anew, so that no digest tells it."""
    content = bytearray(compiled("t5")[1].read_bytes())
    at, size = struct.unpack_from("<QQ", content, PLAN_OFFSET)
    plan = bytes(content[at : at + size])
    encoder, decoder = (struct.pack("<I", 7) + name + b"\0" for name in (b"encoder", b"decoder"))
    assert plan.count(encoder) == plan.count(decoder) == 1 and PLAN_SIZE == PLAN_OFFSET + 8
    content[at : at + size] = plan.replace(encoder, decoder)
    sign(content)
    (tmp_path / "twice.qopt").write_bytes(content)
    failed = tool("qopt-inspect", tmp_path / "twice.qopt", check=False)
    assert failed.returncode == BAD_ARTIFACT and 'two functions are called "decoder"' in failed.stderr
