"""What a differentiated layer computes on the host is what a NumPy tape in f64 does, and that agrees with
differences."""

import json
import pathlib

import gradient_reference as tape
import layer_text
import numpy as np
import pytest
from round_to_nearest import round_to_nearest

TOKENS = 11


def gradients_of(tool, folder, text, inputs):
    """The results of the differentiated function, by name."""
    (folder / "layer.mlir").write_text(text)
    tool("write-gradients", folder / "layer.mlir", folder / "layer.qopt")
    np.savez(folder / "in.npz", **inputs)
    tool("qopt-run", folder / "layer.qopt", "--inputs", folder / "in.npz", "--outputs", folder / "out.npz")
    return dict(np.load(folder / "out.npz"))


def layer_inputs(seed=7):
    random = np.random.default_rng(seed)
    return {
        "h": random.standard_normal((TOKENS, 32)).astype(np.float32),
        "positions": np.arange(3, 3 + TOKENS, dtype=np.int32),
        "y.gradient": random.standard_normal((TOKENS, 32)).astype(np.float32),
    }


def expected_of(layer, inputs):
    """∂L/∂h and what the layer notes: inputs as they are, for everything else the gradient."""
    noted = {}

    def note(name, value):
        noted[name] = value
        return value

    h = tape.Value(inputs["h"])
    layer.run(h, inputs["positions"], note).backward(inputs["y.gradient"].astype(np.float64))
    found = {name: v.gradient if name.endswith("gradient") else v.array for name, v in noted.items()}
    return {**found, "h.gradient": h.gradient}


def check(found, expected, tolerance):
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        error = np.abs(found[name].reshape(array.shape) - array).max() / np.abs(array).max()
        assert error < tolerance, f"{name}: {error}"


LAYERS = [layer_text.Llama, layer_text.Windowed, layer_text.Gpt2]


@pytest.mark.parametrize("kind", LAYERS)
def test_layer_equals_tape(tool, tmp_path, kind):
    layer, inputs = kind(1), layer_inputs()
    check(gradients_of(tool, tmp_path, layer.text(), inputs), expected_of(layer, inputs), 2e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_tape_equals_differences(kind):
    layer, inputs = kind(1), layer_inputs()
    along, difference = tape.difference(
        lambda values: layer.run(values["h"], inputs["positions"], lambda name, value: value),
        {"h": inputs["h"].astype(np.float64)},
        inputs["y.gradient"].astype(np.float64),
    )
    assert along == pytest.approx(difference, rel=1e-7)


@pytest.mark.parametrize("kind", LAYERS)
def test_tape_equals_what_torch_gave(kind):
    """Inputs/torch-gradients.json holds sums of what `autograd` of test_torch_gradients.py gave with PyTorch 2.11."""
    recorded = json.loads((pathlib.Path(__file__).parent / "Inputs/torch-gradients.json").read_text())["sums"]
    found = expected_of(kind(1), layer_inputs())
    for name in "attention0.key", "attention0.value":  # no gradients, and not recorded
        del found[name]
    sums = {name: (array.ravel() * np.cos(np.arange(array.size))).sum() for name, array in found.items()}
    assert sums == pytest.approx(recorded[kind.__name__], rel=1e-9)


def test_quantized_weights_pass_their_values(tool, tmp_path):
    """The gradient of a layer of int8 weights is that of the values that these stand for."""
    layer, inputs = layer_text.Llama(2), layer_inputs()
    formats = {name: "int8_g32" if layer.weights[name].shape[1] % 32 == 0 else "int8" for name in layer.weights}
    found = gradients_of(tool, tmp_path, layer.text(formats), inputs)
    for name, w in layer.weights.items():
        group, scales = (32, np.float16) if formats[name] == "int8_g32" else (w.shape[1], np.float32)
        layer.weights[name] = round_to_nearest(w, "int8", group, None, scales)[3]
    check(found, expected_of(layer, inputs), 2e-5)


def test_quantized_activations_pass_gradients_through(tool, tmp_path):
    """y = f(x̂) · Wᵀ of rounded x̂: what the linear reads is x̂, and ∂L/∂x is ∂L/∂x̂, that of the rounded values."""
    w = np.random.default_rng(3).standard_normal((16, 32)).astype(np.float32)
    codes, types = "!qopt.quantized<?x32, int8_g32_sf32>", "tensor<?x32xf32>"
    text = (
        f'func.func @f(%x: {types} {{qopt.name = "x"}}) -> (tensor<?x16xf32> {{qopt.name = "y"}}) {{\n'
        + layer_text.weight("w", w, "int8")
        + f"    %q = qopt.quantize %x : {types} -> {codes}\n"
        f"    %p = qopt.linear %q, %w : {codes}, !qopt.weight<16x32, int8> -> tensor<?x16xf32>\n"
        "    %y = qopt.activation silu %p : tensor<?x16xf32> -> tensor<?x16xf32>\n"
        "    return %y : tensor<?x16xf32>\n}\n"
    )
    random = np.random.default_rng(4)
    x, gradient = (random.standard_normal(shape).astype(np.float32) for shape in ((TOKENS, 32), (TOKENS, 16)))
    found = gradients_of(tool, tmp_path, text, {"x": x, "y.gradient": gradient})
    scale = np.abs(x).max(-1, keepdims=True) / np.float32(127)
    rounded = tape.Value(np.rint(x * (1 / scale)) * scale)
    p = tape.linear(rounded, round_to_nearest(w, "int8", 32, None, np.float32)[3])
    tape.ACTIVATIONS["silu"](p).backward(gradient.astype(np.float64))
    expected = {"x.gradient": rounded.gradient, "w.input": rounded.array, "w.output_gradient": p.gradient}
    check(found, expected, 2e-5)


def test_sequences_of_other_lengths_are_refused(tool, tmp_path):
    layer, inputs = layer_text.Llama(1), layer_inputs()
    (tmp_path / "layer.mlir").write_text(layer.text())
    tool("write-gradients", tmp_path / "layer.mlir", tmp_path / "layer.qopt")
    np.savez(tmp_path / "in.npz", **{**inputs, "y.gradient": inputs["y.gradient"][1:]})
    run = ("qopt-run", tmp_path / "layer.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    done = tool(*run, check=False)
    assert done.returncode != 0 and "equal" in done.stderr
