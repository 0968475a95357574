"""ONNX's own node tests: imported, evaluated by the reference evaluator, equal to the numbers of the onnx package."""

import re
import warnings

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

# Operators that the evaluator computes; their tests must all agree.
OPERATORS = re.findall(
    r"\w+",
    """
    Abs Add And ArgMax ArgMin Attention BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil
    Clip Concat Constant ConstantOfShape Cos CumSum DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum
    Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm Greater GreaterOrEqual
    Identity IsInf IsNaN LayerNormalization Less LessOrEqual Log LogSoftmax LpNormalization MatMul
    MatMulInteger Max Min Mod Mul Neg NonZero Not OneHot Or Pad Pow QuantizeLinear RMSNormalization Range
    Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape RotaryEmbedding Round ScatterElements ScatterND Shape Sigmoid Sign Sin Size
    Slice Softmax Softplus Split Sqrt Squeeze Sub Sum Swish Tanh TensorScatter Tile TopK Transpose Trilu
    Unsqueeze Where Xor
    """,
)

# What is deliberately not done, by the start of the test's name.
LEFT_OUT = {
    "test_training_dropout": "dropout in training",
    "test_einsum_batch_diagonal": "an ellipsis in Einsum",
    "test_einsum_inner_prod": "Einsum without an arrow",
}
OLDEST_OPSET = 11


def node_tests():
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in load_model_tests(kind="node"):
            graph = case.model.graph
            if len(graph.node) == 1 and not graph.initializer and graph.node[0].op_type in OPERATORS:
                old = case.model.opset_import[0].version < OLDEST_OPSET
                if not graph.node[0].domain and not old and not case.name.startswith(tuple(LEFT_OUT)):
                    yield case


def as_array(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def as_tensor(value, info):
    """The value as an initializer with the data type that the graph declares."""
    if isinstance(value, onnx.TensorProto):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value)
    else:
        tensor = numpy_helper.from_array(np.asarray(value))
        if tensor.data_type != info.type.tensor_type.elem_type:
            return None
    tensor.name = info.name
    return tensor


def without_inputs(case):
    """The test's model with its inputs as initializers, or None where one is no numeric tensor."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    for value, info in zip(inputs, model.graph.input, strict=True):
        if not info.type.HasField("tensor_type") or info.type.tensor_type.elem_type == onnx.TensorProto.STRING:
            return None
        tensor = as_tensor(value, info)
        if tensor is None:
            return None
        model.graph.initializer.append(tensor)
    if any(not info.type.HasField("tensor_type") for info in model.graph.output):
        return None
    if any(info.type.tensor_type.elem_type == onnx.TensorProto.STRING for info in model.graph.output):
        return None
    del model.graph.input[:]
    return model


@pytest.fixture(scope="module")
def results(tool, tmp_path_factory):
    """{test name: (case, lines that evaluate-onnx wrote)} for all tests, in one run of the program."""
    folder = tmp_path_factory.mktemp("nodes")
    cases = {}
    for case in node_tests():
        model = without_inputs(case)
        if model is not None:
            path = folder / f"{case.name}.onnx"
            path.write_bytes(model.SerializeToString())
            cases[case.name] = (case, path)
    tool("evaluate-onnx", stdin="".join(f"{path}\t{path}.out\t\n" for _, path in cases.values()))
    return {name: (case, (path.parent / (path.name + ".out")).read_text()) for name, (case, path) in cases.items()}


def difference(case, text):
    """What is wrong with the results, or None."""
    if text.startswith("failed") or "\nfailed" in text:
        return text.strip()
    lines = text.splitlines()
    for number, (line, expected) in enumerate(zip(lines, case.data_sets[0][1], strict=True)):
        shape, values = line.split(":")
        expected = as_array(expected)
        if tuple(int(size) for size in shape.split("x") if size) != expected.shape:
            return f"output {number}: shape {shape}, expected {expected.shape}"
        exact = expected.dtype.kind in "iub"
        got = np.array(values.split(), dtype=object if exact else np.float64).reshape(expected.shape)
        if exact:
            equal = all(int(a) == int(b) for a, b in zip(got.flat, expected.flat, strict=True))
        else:
            # The reference rounds to bfloat16 after every step, the evaluator once.
            rtol = 2e-2 if expected.dtype.name == "bfloat16" else case.rtol
            equal = np.allclose(got, expected.astype(np.float64), rtol, case.atol, equal_nan=True)
        if not equal:
            return f"output {number}: {values[:80]}, expected {expected.flatten()[:8]}"
    return None


def test_every_node_test_agrees(results):
    wrong = {name: difference(case, text) for name, (case, text) in results.items()}
    wrong = {name: why for name, why in wrong.items() if why}
    assert not wrong, f"{len(wrong)} of {len(results)}:\n" + "\n".join(f"{k}: {v}" for k, v in wrong.items())
    assert len(results) > 700
