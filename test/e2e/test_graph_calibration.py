"""Graphs are calibrated on arrays of their inputs: nearer to the model than rounding is, on inputs that nobody saw."""

import json

import numpy as np
import pytest
from graph_inputs import distance, divergence, inputs_of, outputs_of

USAGE, BAD_MODEL = 2, 3
F32 = ("--embedding", "f32")  # of models that have one


def errors(tool, graphs, family, exporter, weights, *options):
    """Of weights that are rounded to nearest, and of calibrated ones, on inputs of another seed."""
    model, folder = graphs(family, exporter)
    fresh = inputs_of(family, 2, 64)
    expected = outputs_of(folder / "f32.qopt", fresh)
    common = ("--weights", weights, *(() if family == "vit" else F32))
    found = []
    for name, more in (("rtn", ()), ("calibrated", ("--calibrate", folder / "calib.npz"))):
        words = (*common, "--activations", "f32") if not options else (*common, *options)
        tool("qopt-compile", model, *words, *more, "-o", folder / f"{name}.qopt")
        found.append(distance(outputs_of(folder / f"{name}.qopt", fresh), expected))
    return found


@pytest.mark.parametrize(
    ("family", "exporter"),
    [("distilbert", "optimum"), ("distilbert", "dynamo"), ("bert", "dynamo"), ("vit", "optimum"), ("vit", "dynamo")],
)
def test_calibrated_weights_are_nearer_than_rounded_ones(tool, graphs, family, exporter):
    rounded, calibrated = errors(tool, graphs, family, exporter, "int4")
    assert 0 < calibrated < 0.9 * rounded, (rounded, calibrated)


def test_the_golden_outputs_are_nearer(tool, graphs, shared):
    """What PyTorch computed, of rows without padding."""
    model, folder = graphs("distilbert")
    golden = dict(np.load(model.parent / "golden.npz"))
    valid = golden["in.attention_mask"].astype(bool)
    inputs = {name[3:]: x for name, x in golden.items() if name.startswith("in.")}
    outputs = {name[4:]: y for name, y in golden.items() if name.startswith("out.")}
    found = {}
    for name, more in (("rtn", ()), ("best", ("--calibrate", folder / "calib.npz"))):
        options = ("--weights", "int3", *F32, "--activations", "f32", *more)
        tool("qopt-compile", model, *options, "-o", folder / f"{name}.qopt")
        run = outputs_of(folder / f"{name}.qopt", inputs)
        found[name] = np.mean([np.mean((run[key] - y)[valid] ** 2) for key, y in outputs.items()])
    assert found["best"] < found["rtn"], found


def test_classes_are_calibrated_by_their_divergence(tool, classifier):
    """Rounding that follows the gradients of the predictions beats rounding that knows what linears read."""
    fresh = inputs_of("distilbert", 4, 256)
    expected = outputs_of(classifier / "f32.qopt", fresh)
    found = {}
    for name, options in {
        "rtn": (),
        "gptq": ("--calibrate", classifier / "calib.npz", "--algorithm", "gptq"),
        "best": ("--calibrate", classifier / "calib.npz"),
    }.items():
        words = ("--weights", "int4", *F32, "--activations", "f32", *options, "-o", classifier / f"{name}.qopt")
        done = tool("qopt-compile", classifier / "model.onnx", *words)
        assert "no gradients are measured" not in done.stderr
        found[name] = divergence(outputs_of(classifier / f"{name}.qopt", fresh), expected)
    assert found["best"] < found["gptq"] < found["rtn"], found


def test_static_scales_of_activations_are_measured(tool, graphs):
    """W8A8 with one scale a tensor: its weights' rounding and that of activations together stay small."""
    model, folder = graphs("bert", "dynamo")
    fresh = inputs_of("bert", 2, 64)
    expected = outputs_of(folder / "f32.qopt", fresh)
    options = ("--weights", "int8", *F32, "--calibrate", folder / "calib.npz", "--algorithm", "rtn")
    found = {}
    for activations in ("int8", "int8_tensor"):
        artifact = folder / f"{activations}.qopt"
        tool("qopt-compile", model, *options, "--activations", activations, "-o", artifact)
        found[activations] = distance(outputs_of(artifact, fresh), expected)
    assert 0 < found["int8"] < found["int8_tensor"] < 3e-3, found


def test_a_second_run_is_free_and_has_the_same_bytes(tool, graphs, tmp_path):
    model, folder = graphs("distilbert")
    options = ("--weights", "int4", "--calibrate", folder / "calib.npz")
    for name, store, threads in (("a", "one", 2), ("b", "one", 2), ("c", "other", 1)):
        more = ("--store", tmp_path / store, "--threads", threads, "-o", tmp_path / f"{name}.qopt")
        tool("qopt-compile", model, *options, *more)
    first, again, alone = ((tmp_path / f"{name}.qopt").read_bytes() for name in "abc")
    assert first == again == alone


def test_sources_of_a_manifest_share_the_samples(tool, graphs, tmp_path):
    model, _ = graphs("distilbert")
    for name, seed in (("a", 5), ("b", 6)):
        np.savez(tmp_path / f"{name}.npz", **inputs_of("distilbert", seed))
    sources = [{"path": "a.npz", "weight": 3}, {"path": "b.npz", "slice": "stress"}]
    (tmp_path / "m.json").write_text(json.dumps({"schema": "qopt-calibration-1", "sources": sources}))
    options = ("--weights", "int4", "--calibrate", tmp_path / "m.json", "--calibrate-tokens", 14 * 32)
    done = tool("qopt-compile", model, *options, "-o", tmp_path / "m.qopt")
    assert "calibration on 32 samples of 2 sources" in done.stderr
    record = json.loads(tool("qopt-inspect", tmp_path / "m.qopt", "--json").stdout)["precision_plan"]["calibration"]
    assert [source["windows"] for source in record["sources"]] == [24, 8]
    assert (
        "source b.npz: domain b.npz, slice stress, weight 1, 8 samples"
        in tool("qopt-inspect", tmp_path / "m.qopt").stdout
    )


def test_few_samples_serve_and_it_is_said(tool, graphs, tmp_path):
    model, _ = graphs("distilbert")
    np.savez(tmp_path / "few.npz", **inputs_of("distilbert", 5, 3))
    done = tool(
        "qopt-compile", model, "--weights", "int4", "--calibrate", tmp_path / "few.npz", "-o", tmp_path / "m.qopt"
    )
    assert "calibration has 3 samples, and none is held out" in done.stderr


def test_an_axis_of_samples_may_stand_ahead_of_the_batch(tool, graphs, tmp_path):
    """Rows of one and batches of one are the same samples."""
    model, _ = graphs("distilbert")
    arrays = inputs_of("distilbert", 5)
    np.savez(tmp_path / "rows.npz", **arrays)
    np.savez(tmp_path / "batches.npz", **{name: x[:, None] for name, x in arrays.items()})
    codes = []
    for name in ("rows", "batches"):
        options = ("--weights", "int4", "--algorithm", "gptq", "--calibrate", tmp_path / f"{name}.npz")
        text = tool("qopt-compile", model, *options, "--emit", "quantized").stdout
        codes.append([line.split("=", 1)[1] for line in text.splitlines() if "scales(" in line])
    assert len(codes[0]) > 5 and codes[0] == codes[1]


@pytest.mark.usefixtures("ptx_only")
def test_a_gpu_gets_the_same_codes(tool, graphs, tmp_path):
    model, folder = graphs("distilbert")
    np.savez(tmp_path / "in.npz", **inputs_of("distilbert", 2, 4))
    expected = outputs_of(folder / "f32.qopt", inputs_of("distilbert", 2, 4))
    found = []
    for name, more in (("rtn", ()), ("best", ("--calibrate", folder / "calib.npz"))):
        options = ("--target", "cuda", "--weights", "int4", *F32, *more)
        tool("qopt-compile", model, *options, "-o", tmp_path / f"{name}.qopt")
        arrays = ("--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
        tool("qopt-run", tmp_path / f"{name}.qopt", "--device", "emulator", *arrays)
        found.append(distance(dict(np.load(tmp_path / "out.npz")), expected))
    assert 0 < found[1] < 0.9 * found[0], found


def broken(**changes):
    """inputs.npz with some arrays replaced, or without those that are None."""

    def write(path):
        arrays = {**inputs_of("distilbert", 5, 8), **{name: x for name, x in changes.items()}}
        np.savez(path, **{name: x for name, x in arrays.items() if x is not None})

    return write


@pytest.mark.parametrize(
    ("write", "code", "message"),
    [
        (
            broken(attention_mask=None),
            USAGE,
            'lacks the input "attention_mask" (i64[samples, batch_size, sequence_length]); it has "input_ids"',
        ),
        (broken(labels=np.zeros(8)), USAGE, 'has "labels", which is no input of the model; expected "input_ids", "att'),
        (
            broken(input_ids=np.zeros((8, 14), np.int32)),
            USAGE,
            'has "input_ids" as i32[8, 14]; expected i64[samples, sequence_length] or i64[samples, batch_size, ',
        ),
        (broken(input_ids=np.zeros(8, np.int64)), USAGE, 'has "input_ids" as i64[8]; expected i64[samples, '),
        (broken(input_ids=np.zeros((8, 0), np.int64)), USAGE, 'has "input_ids" as i64[8, 0]; expected'),
        (
            broken(attention_mask=np.ones((8, 13), np.int64)),
            USAGE,
            'has "attention_mask" with samples of [1, 13], but "sequence_length" is 14',
        ),
        (
            broken(attention_mask=np.ones((7, 14), np.int64)),
            USAGE,
            'has 7 samples of "attention_mask" and 8 of "input_ids"',
        ),
        (
            broken(input_ids=np.zeros((0, 14), np.int64), attention_mask=np.zeros((0, 14), np.int64)),
            USAGE,
            'has no sample of "input_ids"',
        ),
        (broken(input_ids=np.full((8, 14), 10**6)), USAGE, "sample 0: "),
        (lambda path: path.write_bytes(b"PK nothing"), BAD_MODEL, "is no .npz file"),
    ],
)
def test_arrays_that_do_not_serve_are_refused(tool, graphs, tmp_path, write, code, message):
    model, _ = graphs("distilbert")
    write(tmp_path / "inputs.npz")
    options = ("--weights", "int4", "--calibrate", tmp_path / "inputs.npz", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", model, *options, check=False)
    assert done.returncode == code and message in done.stderr, done.stderr
    assert done.stderr.count("error: ") == 1 and not (tmp_path / "m.qopt").exists()


def test_inputs_that_are_no_numbers_are_refused(tool, graphs, tmp_path):
    model, _ = graphs("vit", "dynamo")
    arrays = inputs_of("vit", 1, 8)
    arrays["pixel_values"][5, 0, 3, 3] = np.nan
    np.savez(tmp_path / "x.npz", **arrays)
    options = ("--weights", "int4", "--calibrate", tmp_path / "x.npz", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", model, *options, check=False)
    assert done.returncode == USAGE and 'has a NaN in sample 5 of "pixel_values"' in done.stderr


def test_texts_are_for_decoders_and_arrays_for_graphs(tool, graphs, stories, tmp_path):
    model, folder = graphs("distilbert")
    (tmp_path / "t.txt").write_text("Once upon a time")
    output = ("-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", model, "--weights", "int4", "--calibrate", tmp_path / "t.txt", *output, check=False)
    assert done.returncode == USAGE and "is given for a graph, which reads no text" in done.stderr
    done = tool("qopt-compile", stories, "--weights", "int4", "--calibrate", folder / "calib.npz", *output, check=False)
    assert done.returncode == USAGE and "has inputs of a graph, but the model is a decoder" in done.stderr
