"""Tiny ONNX models for the importer's tests, valid unless a test breaks them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def value(name, dims, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, dims)


def model_of(nodes, inputs, outputs, initializers=(), opset=18, domains=(), functions=()):
    """A model; `inputs` and `outputs` are value infos or names of float tensors [n, 4]."""
    inputs = [value(i, ["n", 4]) if isinstance(i, str) else i for i in inputs]
    outputs = [value(o, None) if isinstance(o, str) else o for o in outputs]
    graph = helper.make_graph(list(nodes), "graph", inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions))


def linear(weight=None):
    """y = x W with W [4, 4] as an initializer."""
    weight = weight if weight is not None else numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"], name="proj")], ["x"], ["y"], [weight])


def external(**entries):
    """The weight of `linear` with external_data entries: location, offset, length, …"""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in entries.items():
        tensor.external_data.add(key=key, value=str(text))
    return tensor


def save(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def load(path):
    return onnx.load(path)
