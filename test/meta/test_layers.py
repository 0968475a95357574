"""The layers of the architecture: an #include may only point to the same layer or down."""

import pathlib
import re

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]

# Lowest first. A folder may include its own layer and those that the last column names.
LAYERS = {
    "include/qopt": ["include/qopt"],
    "lib/Quant": ["include/qopt", "lib/Quant"],
    # Facts about GPUs: data that schedules and the serving process may ask for.
    "lib/Target": ["include/qopt", "lib/Target"],
    # Files replace others as a whole, which the runtime's writers do.
    "lib/Io": [
        "include/qopt",
        "lib/Quant/FloatConversion.h",
        "lib/Quant/FnuzConversion.h",
        "runtime/OutputFile.h",
        "runtime/InputFile.h",
        "runtime/ElementTypes.h",
        "lib/Io",
    ],
    "lib/Tokens": ["include/qopt", "lib/Io", "lib/Tokens"],
    "lib/Calibrate": [
        "include/qopt",
        "lib/Quant",
        "lib/Io",
        "lib/Tokens",
        "runtime/Philox.h",
        "runtime/Sha256.h",
        "lib/Calibrate",
    ],
    # Runs models on the public engine; beside it, a pool of threads and the types of NumPy's arrays.
    "lib/Evaluate": ["include/qopt", "lib/Io/Npy.h", "lib/Tokens", "runtime/host/ThreadPool.h", "lib/Evaluate"],
    # The serving process: of the compiler it sees nothing but the formats' numerics.
    "runtime": ["include/qopt", "lib/Quant", "runtime"],
    # A model's names are made printable by one function, in errors of the compiler and by the tools.
    "dialects": ["include/qopt", "lib/Quant", "runtime/PrintableText.h", "dialects"],
    "lib/Import": ["include/qopt", "lib/Quant", "dialects", "lib/Import"],
    # What is kept between runs has a digest as its name.
    "lib/Codegen": ["include/qopt", "lib/Quant", "lib/Target", "dialects", "runtime/Sha256.h", "lib/Codegen"],
    # Kernels and the serving process agree on what lies in a GPU's memory, and on the order of sums.
    "lib/Kernels": [
        "include/qopt",
        "lib/Quant",
        "lib/Target",
        "dialects",
        "runtime/cuda",
        "runtime/host/SumOrder.h",
        "lib/Kernels",
    ],
    # Scheduling asks the kernels what they can hold; it sees no other part of the runtime.
    "passes": [
        "include/qopt",
        "lib/Quant",
        "lib/Target",
        "dialects",
        "lib/Import",
        "lib/Codegen",
        "lib/Kernels",
        "passes",
        "runtime/host",
    ],
    # Writes artifacts, so it sees their format.
    "lib/Driver": ["include/qopt", "lib", "dialects", "passes", "runtime"],
    "tools": ["include/qopt", "lib", "dialects", "passes", "runtime", "tools"],
    # What a check found has one description in JSON.
    "python": ["include/qopt", "lib/Quant", "tools/cli/DescribeCheck.h", "python"],
}
FORBIDDEN = {
    "runtime": ["mlir/", "llvm/", "google/protobuf"],
    "lib/Quant": ["mlir/", "llvm/"],
    "lib/Target": ["mlir/", "llvm/"],
    "lib/Io": ["mlir/", "llvm/"],
    "lib/Tokens": ["mlir/", "llvm/"],
    "lib/Evaluate": ["mlir/", "llvm/"],
}


def files_of(layer):
    return [p for p in (SOURCE / layer).rglob("*") if p.suffix in (".h", ".cpp")]


def includes_of(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


def layer_of(include):
    """The project folder an include names, or None for a header from outside or generated beside its folder."""
    if include.startswith("qopt/"):
        return "include/qopt"
    return include if include.split("/")[0] in ("lib", "dialects", "passes", "runtime", "tools", "python") else None


@pytest.mark.parametrize("layer", LAYERS)
def test_includes_point_down(layer):
    assert files_of(layer), f"{layer} has no files: the table of layers is out of date"
    wrong = []
    for path in files_of(layer):
        for include in includes_of(path):
            target = layer_of(include)
            if target and not any(target == a or target.startswith(a + "/") for a in LAYERS[layer]):
                wrong.append(f"{path.relative_to(SOURCE)} includes {include}")
            wrong += [
                f"{path.relative_to(SOURCE)} includes {include}"
                for prefix in FORBIDDEN.get(layer, [])
                if include.startswith(prefix)
            ]
    assert not wrong, "\n".join(wrong)
