"""Graphs under budgets: what is predicted is what is found, less is lost than with one format for all, and no budget is
exceeded."""

import json

import numpy as np
import onnx
import pytest
import qopt
from graph_inputs import distance, divergence, inputs_of, outputs_of

USAGE, INFEASIBLE = 2, 5
SAMPLES = 256


@pytest.fixture(scope="module")
def vit(graphs):
    """The model, and a folder with calib.npz of enough samples that curvatures are not fitted to them."""
    model, folder = graphs("vit", "dynamo")
    np.savez(folder / "many.npz", **inputs_of("vit", 1, SAMPLES))
    return model, folder


@pytest.fixture(scope="module")
def planned(tool, vit):
    """Compiles it, and gives the plan and the artifact; scores are those of the first call."""
    model, folder = vit

    def get(*options, samples="many.npz"):
        words = ("--calibrate", folder / samples, "--activations", "f32", "--store", folder / "store", *options)
        tool("qopt-compile", model, *words, "--save-plan", folder / "plan.json", "-o", folder / "m.qopt")
        return json.loads((folder / "plan.json").read_text()), folder / "m.qopt"

    return get


def lost(artifact, folder):
    """Half of the error beside the outputs' mean square, the mean over outputs: what plans of such graphs predict."""
    fresh = inputs_of("vit", 2, 64)
    return distance(outputs_of(artifact, fresh), outputs_of(folder / "f32.qopt", fresh)) / 2


@pytest.mark.parametrize("bits", [3, 6])
def test_the_error_is_the_predicted_one(vit, planned, bits):
    plan, artifact = planned("--bits", bits)
    assert bits - 0.05 < plan["bits"] <= bits
    assert plan["predicted_kl"] == pytest.approx(lost(artifact, vit[1]), rel=0.3)


def test_less_is_lost_than_with_one_format(vit, planned):
    uniform, artifact = planned("--weights", "lut4_g32_s6")
    loss = lost(artifact, vit[1])
    chosen, artifact = planned("--bits", uniform["bits"])
    assert chosen["bits"] <= uniform["bits"] + 1e-6
    assert lost(artifact, vit[1]) < 0.75 * loss


def test_the_same_again_from_the_plan(tool, vit, planned, tmp_path):
    model, folder = vit
    plan, artifact = planned("--bits", 4.25)
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    options = ("--plan", tmp_path / "plan.json", "--calibrate", folder / "many.npz", "--store", tmp_path / "store")
    tool("qopt-compile", model, *options, "-o", tmp_path / "again.qopt")
    fresh = inputs_of("vit", 3, 4)
    expected = outputs_of(artifact, fresh)
    for name, values in outputs_of(tmp_path / "again.qopt", fresh).items():
        assert np.array_equal(values, expected[name])


def test_a_file_is_as_small_as_asked(planned):
    smallest, artifact = planned("--bits", 2.6)
    least = artifact.stat().st_size
    limit = least + 20000
    plan, artifact = planned("--max-size", limit, "--max-error", 1)  # whose record is part of it
    assert 0.97 * limit < artifact.stat().st_size <= limit
    assert plan["bits"] > smallest["bits"] and plan["budget"] == f"a file of {limit}"


@pytest.mark.parametrize("batch", [1, 4])
def test_memory_is_that_of_weights_and_work(tool, planned, batch):
    limit = 200_000 if batch == 1 else 300_000
    plan, artifact = planned("--max-memory", limit, "--batch", batch)
    model = qopt.load(artifact)
    model.run(inputs_of("vit", 3, batch))
    segments = json.loads(tool("qopt-inspect", artifact, "--json").stdout)["segments"]
    held = sum(s["bytes"] for s in segments if s["kind"] in ("Weight", "Constant"))
    assert 0.97 * limit < held + model.memory <= limit
    assert plan["budget"] == f"memory of {limit} for {batch} samples"


def test_classes_have_the_predicted_divergence(tool, classifier):
    words = ("--calibrate", classifier / "calib.npz", "--activations", "f32", "--bits", 6)
    outputs = ("--save-plan", classifier / "plan.json", "-o", classifier / "six.qopt")
    tool("qopt-compile", classifier / "model.onnx", *words, *outputs)
    fresh = inputs_of("distilbert", 4, 256)
    found = divergence(outputs_of(classifier / "six.qopt", fresh), outputs_of(classifier / "f32.qopt", fresh))
    plan = json.loads((classifier / "plan.json").read_text())
    assert found / 2 < plan["predicted_kl"] < found * 1.5, (found, plan["predicted_kl"])


def test_a_check_says_what_memory_the_samples_take(tool, vit):
    model, folder = vit
    options = ("--max-memory", "200kB", "--batch", 2, "--calibrate", folder / "many.npz", "--check")
    said = tool("qopt-compile", model, *options).stdout
    assert "work on 2 samples: " in said and "what the sizes of its inputs need" not in said


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--bits", 2), INFEASIBLE, "--bits is 2.00, but the smallest plan of these candidates has 2."),
        (("--max-size", "30kB"), INFEASIBLE, "--max-size is 30kB, but the smallest plan of these candidates takes 1"),
        (("--max-memory", "90kB"), INFEASIBLE, "bytes in memory; ask for that or more"),
        (("--max-latency", "1ms"), USAGE, "--max-latency is for the steps of a decoder, and the model is a graph"),
        (("--bits", 4, "--moves", 2), USAGE, "--moves exchanges formats by the divergence of a decoder's predictions"),
        (
            ("--max-memory", "1MB", "--kv-candidates", "int8"),
            USAGE,
            '--kv-candidates is "int8", but the model is compiled as a graph, which has no cache',
        ),
    ],
)
def test_what_cannot_be_is_refused(tool, vit, tmp_path, options, code, message):
    model, folder = vit
    words = ("--calibrate", folder / "calib.npz", "--store", folder / "few", *options, "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", model, *words, check=False)
    assert done.returncode == code and message in done.stderr, done.stderr
    assert done.stderr.count("error: ") == 1 and not (tmp_path / "m.qopt").exists()


def one_row(path, extra=()):
    """y = (x W)ᵀ of inputs without an axis of a batch; `extra` nodes make y of h."""
    random = np.random.default_rng(3)
    weight = onnx.numpy_helper.from_array(random.standard_normal((64, 64)).astype(np.float32), "w")
    info = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["h"], name="first"), *extra]
    result = extra[-1].output[0] if extra else "h"
    graph = onnx.helper.make_graph(
        nodes,
        "main",
        [info("x", onnx.TensorProto.FLOAT, [2, 64])],
        [info(result, onnx.TensorProto.FLOAT, None)],
        [weight],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10), path)
    np.savez(path.with_suffix(".npz"), x=random.standard_normal((32, 2, 64)).astype(np.float32))


def test_samples_are_a_batch_where_the_model_has_one(tool, tmp_path):
    one_row(tmp_path / "m.onnx")
    options = ("--calibrate", tmp_path / "m.npz", "--max-memory", "1MB", "--batch", 4)
    done = tool("qopt-compile", tmp_path / "m.onnx", *options, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == USAGE, done.stderr
    assert 'the input "x" of the graph has no axis of a batch, whose size is open' in done.stderr


def test_a_model_without_gradients_names_the_operation(tool, tmp_path):
    one_row(tmp_path / "m.onnx", [onnx.helper.make_node("CumSum", ["h", "axis"], ["y"], name="sum")])
    model = onnx.load(tmp_path / "m.onnx")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.int64), "axis"))
    onnx.save(model, tmp_path / "m.onnx")
    options = ("--calibrate", tmp_path / "m.npz", "--bits", 4)
    done = tool("qopt-compile", tmp_path / "m.onnx", *options, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == USAGE and done.stderr.count("error: ") == 1, done.stderr
    assert "choose formats by gradients, and the model has none: node " in done.stderr
