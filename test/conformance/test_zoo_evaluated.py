"""Real exporters' graphs through the reference evaluator: as imported, and after the passes that rewrite the onnx
dialect, they give the numbers of the framework that exported them."""

import json

import numpy as np
import pytest

# Graphs of operators that the evaluator computes; com.microsoft's are written out by a pass first.
FAMILIES = ["llama", "llama3-rope", "qwen2", "qwen3", "mistral", "gpt2", "bert"]
MODELS = [f"families/{family}-{exporter}" for family in FAMILIES for exporter in ("optimum", "dynamo")] + [
    "families/llama-genai-fp32",
    "families/bloom-optimum",
    "families/opt-dynamo",
    "families/gptj-optimum",
    "families/deberta-v2-optimum",
    "stories260k-dynamo-eager18",
]
SIMPLIFIED = "func.func(qopt-expand-microsoft,qopt-simplify-onnx,cse)"


def goldens(folder):
    return [path for path in sorted(folder.glob("golden*.npz")) if "rightpad" not in path.name]


def task(folder, passes, golden, work):
    """A line for evaluate-onnx; the inputs lie in files beside its output."""
    fields = [str(folder / "model.onnx"), str(work / "out"), passes]
    for name in golden.files:
        if name.startswith("in."):
            array = golden[name]
            path = work / name
            path.write_bytes(np.ascontiguousarray(array).tobytes())
            fields.append(f"{name[3:]}={'x'.join(map(str, array.shape))}={path}")
    return "\t".join(fields) + "\n"


def worst_difference(golden, names, text):
    """Largest |difference| over valid rows, relative to the largest |value|; the message where there is none."""
    if "failed" in text:
        return text
    worst = 0.0
    lines = dict(zip(names, text.splitlines(), strict=True))
    for name in golden.files:
        if not name.startswith("out."):
            continue
        expected = golden[name].astype(np.float64)
        got = np.array(lines[name[4:]].split(":")[1].split(), dtype=np.float64).reshape(expected.shape)
        if "valid" in golden.files:
            valid = golden["valid"].astype(bool)
            if expected.ndim == 4:
                valid = np.broadcast_to(valid[:, None, :, None], expected.shape)
            elif expected.ndim == 3:
                valid = np.broadcast_to(valid[:, -expected.shape[1] :, None], expected.shape)
            else:
                valid = np.ones(expected.shape, bool)
            expected, got = np.where(valid, expected, 0), np.where(valid, got, 0)
        worst = max(worst, np.abs(got - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-9))
    return worst


@pytest.mark.parametrize("model", MODELS)
def test_model_agrees(tool, shared, tmp_path, model):
    folder = shared / "zoo" / model
    entry = next(e for e in json.loads((shared / "zoo/zoo.json").read_text())["models"] if e["name"] == model)
    names = list(entry["outputs"])
    for number, path in enumerate(goldens(folder)):
        golden = np.load(path)
        for passes in ("", SIMPLIFIED) if "genai" not in model else (SIMPLIFIED,):
            work = tmp_path / f"{number}{bool(passes)}"
            work.mkdir()
            tool("evaluate-onnx", stdin=task(folder, passes, golden, work))
            difference = worst_difference(golden, names, (work / "out").read_text())
            assert isinstance(difference, float), f"{path.name} {passes}: {difference}"
            assert difference <= 1e-5, f"{path.name} {passes}: {difference}"
