"""Limits of quality: what is measured is what qopt-eval measures, and nothing is written where a limit is missed."""

import hashlib
import json
import shutil

import onnx
import pytest
import qopt

GATE_FAILED, USAGE = 6, 2
FORMAT = ("--weights", "int4_asym")


@pytest.fixture(scope="module")
def folder(tool, stories, stories_artifact, tmp_path_factory):
    """Texts that the model writes, tales.txt and more.txt, and the model in f32."""
    folder = tmp_path_factory.mktemp("gates")
    for name, seeds in (("tales", range(14)), ("more", range(20, 26))):
        texts = []
        for seed in seeds:
            sampling = ("--temperature", 1, "--seed", seed, "--max-tokens", 320, "--json")
            done = tool("qopt-run", stories_artifact, "--prompt", "Once", *sampling)
            texts.append(json.loads(done.stdout)["text"])
        (folder / f"{name}.txt").write_text("\n".join(texts))
    plain = ("--weights", "f32", "--activations", "f32", "--kv", "f32")
    tool("qopt-compile", stories, *plain, "-o", folder / "f32.qopt")
    return folder


def compiled(tool, stories, folder, *options, check=True):
    return tool("qopt-compile", stories, *FORMAT, *options, "-o", folder / "m.qopt", check=check)


def evaluated(tool, artifact, reference, *texts):
    words = [word for text in texts for word in ("--text", text)]
    return json.loads(tool("qopt-eval", artifact, *words, "--reference", reference, "--json").stdout)


def check_slice(slice_, figures):
    near = {"rel": 1e-5}
    assert slice_["kl"]["mean"] == pytest.approx(figures["kl"]["mean"], **near)
    assert slice_["kl"]["low"] == pytest.approx(figures["kl"]["low"], **near)
    assert slice_["kl"]["max"] == pytest.approx(figures["kl"]["max"], **near)
    assert slice_["same_top1_percent"] == pytest.approx(figures["same_top1_percent"]["mean"], **near)
    ours, theirs = figures["perplexity"], figures["reference"]["perplexity"]
    assert slice_["perplexity"] == pytest.approx(ours, **near)
    assert slice_["perplexity_increase_percent"] == pytest.approx(100 * (ours / theirs - 1), rel=1e-3)


def test_the_figures_are_those_of_qopt_eval(tool, stories, folder):
    """The artifact that was written, its int8 activations and int4 cache included, beside the model in f32."""
    texts = [f"tales={folder / 'tales.txt'}", folder / "more.txt"]
    options = ("--kv", "int4", *(word for text in texts for word in ("--validate", text)), "--json")
    found = json.loads(compiled(tool, stories, folder, *options).stdout)["validation"]
    figures = evaluated(tool, folder / "m.qopt", folder / "f32.qopt", *texts)
    assert [slice_["name"] for slice_ in found["slices"]] == ["all", "tales", "more.txt"]
    for slice_, expected in zip(found["slices"], [figures, *figures["domains"]], strict=True):
        check_slice(slice_, expected)
    assert found["gates"] == []


def test_a_limit_that_is_met_changes_nothing_but_the_record(tool, stories, folder):
    limits = ("--max-kl", 1, "--max-perplexity-increase", 60, "--min-top1", 50)
    done = compiled(tool, stories, folder, "--validate", folder / "more.txt", *limits)
    rows = [line.split() for line in done.stdout.splitlines() if line.endswith("  met")]
    assert [row[1] for row in rows] == ["max-kl", "max-perplexity-increase", "min-top1"]
    tool("qopt-compile", stories, *FORMAT, "-o", folder / "plain.qopt")
    run = ("--prompt", "Once", "--max-tokens", 40)
    texts = [tool("qopt-run", folder / name, *run).stdout for name in ("m.qopt", "plain.qopt")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("limit", "value"), [("--max-kl", 0.001), ("--max-perplexity-increase", 0.1), ("--min-top1", 99.9)]
)
def test_a_missed_limit_writes_nothing(tool, stories, folder, tmp_path, limit, value):
    texts = ("--validate", f"a={folder / 'tales.txt'}", "--validate", f"b={folder / 'more.txt'}")
    outputs = ("--save-plan", tmp_path / "plan.json", "-o", tmp_path / "m.qopt")
    loose = ("--min-top1", 10) if limit == "--max-kl" else ("--max-kl", 10)
    done = tool("qopt-compile", stories, *FORMAT, *texts, limit, value, *loose, *outputs, check=False)
    assert done.returncode == GATE_FAILED
    assert "3 of 6 limits of quality are missed; nothing is written" in done.stderr
    missed = [line.split()[:2] for line in done.stderr.splitlines() if line.endswith("  missed")]
    assert missed == [[name, limit[2:]] for name in ("all", "a", "b")]
    assert list(tmp_path.iterdir()) == []


def test_keep_writes_all_the_same(tool, stories, folder, tmp_path):
    outputs = ("--save-plan", tmp_path / "plan.json", "-o", tmp_path / "m.qopt")
    limit = ("--validate", folder / "more.txt", "--max-kl", 0, "--keep")
    done = tool("qopt-compile", stories, *FORMAT, *limit, *outputs, check=False)
    assert done.returncode == GATE_FAILED
    assert "is written all the same" in done.stderr
    assert (tmp_path / "plan.json").exists()
    tool("qopt-run", tmp_path / "m.qopt", "--prompt", "Once", "--max-tokens", 4)


def test_without_a_text_the_held_out_windows_are_measured(tool, stories, folder):
    """One of the eight windows of the text: the last."""
    calibrate = ("--calibrate", folder / "tales.txt", "--algorithm", "rtn", "--calibrate-tokens", 8 * 512)
    found = json.loads(compiled(tool, stories, folder, *calibrate, "--max-kl", 1, "--json").stdout)["validation"]
    assert [slice_["name"] for slice_ in found["slices"]] == ["all"]
    assert found["slices"][0]["windows"] == 1
    assert found["texts"][0]["name"] == "held out"
    few = compiled(tool, stories, folder, *calibrate[:-1], 7 * 512, "--max-kl", 1, check=False)
    assert few.returncode == USAGE
    assert "has 7 windows, of which none is held out" in few.stderr


def test_windows_fit_into_the_context(tool, stories, folder):
    options = ("--context", 64, "--validate", folder / "more.txt", "--json")
    found = json.loads(compiled(tool, stories, folder, *options).stdout)["validation"]
    slice_ = found["slices"][0]
    assert slice_["predictions"] == 63 * slice_["windows"]


def test_a_gpu_is_stood_for_by_the_same_codes(tool, stories, folder):
    """Calibrated codes of tied weights, too: what the emulator runs is as far from the model as what was measured."""
    calibrate = ("--calibrate", folder / "tales.txt", "--algorithm", "rtn", "--context", 64)
    (folder / "short.txt").write_text((folder / "more.txt").read_text()[:800])
    options = ("--target", "cuda", "--weights", "int8", "--lm-head", "int4", *calibrate, "--json")
    done = tool("qopt-compile", stories, *options, "--validate", folder / "short.txt", "-o", folder / "gpu.qopt")
    found = json.loads(done.stdout)["validation"]
    assert "activations in f16" in found["device"]
    emulated = ("--device", "emulator", "--text", folder / "short.txt", "--window", 64, "--reference")
    figures = json.loads(tool("qopt-eval", folder / "gpu.qopt", *emulated, folder / "f32.qopt", "--json").stdout)
    assert found["slices"][0]["kl"]["mean"] == pytest.approx(figures["kl"]["mean"], rel=0.03)


def test_weights_that_no_file_maps_are_read_twice(tool, stories, folder, tmp_path):
    """Numbers in fields of the protobuf lie on the heap: the artifact reads them, then the unquantized model."""
    shutil.copytree(stories, tmp_path / "typed")
    model = onnx.load(stories / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2:
            tensor.float_data.extend(onnx.numpy_helper.to_array(tensor).flatten().tolist())
            tensor.ClearField("raw_data")
    onnx.save(model, tmp_path / "typed/model.onnx")
    options = (*FORMAT, "--validate", folder / "more.txt", "--json", "-o", tmp_path / "m.qopt")
    found = [
        json.loads(tool("qopt-compile", model, *options).stdout)["validation"]["slices"]
        for model in (stories, tmp_path / "typed")
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ("--max-kl", 1),
            USAGE,
            "are measured on a text, or on inputs of a graph; give them as --validate, or --calibrate",
        ),
        (("--max-kl", "nan", "--validate", "T"), USAGE, "--max-kl: expected a number from 0 or above"),
        (("--max-kl", -1, "--validate", "T"), USAGE, "--max-kl: expected a number from 0 or above"),
        (("--min-top1", 101, "--validate", "T"), USAGE, "--min-top1: expected a number from 0 to 100"),
        (("--validate", "T", "--validate", "T"), USAGE, '--validate gives "'),
        (("--validate", "all=T"), USAGE, 'calls a text "all"'),
        (("--validate", "x="), USAGE, "expected PATH or NAME=PATH"),
        (("--validate", "E"), USAGE, "is empty"),
        (("--validate", "S"), USAGE, "tokens; expected 512 or more"),
        (("--validate", "N"), 9, "cannot read"),
        (("--validate", "T", "--keep"), USAGE, "--keep is for --max-kl"),
        (("--validate", "T", "--as", "graph"), USAGE, "is given for a graph, which reads no text; expected a .npz"),
        (("--validate", "T", "--emit", "quantized"), USAGE, "--validate is for artifacts"),
    ],
)
def test_what_cannot_be_measured_is_refused(tool, stories, folder, tmp_path, options, code, message):
    files = {"T": folder / "more.txt", "E": tmp_path / "e.txt", "S": tmp_path / "s.txt", "N": tmp_path / "none.txt"}
    files["E"].write_text("")
    files["S"].write_text("Once upon a time")
    words = [str(files.get(word, word)).replace("=T", f"={files['T']}") for word in options]
    output = () if "--emit" in options else ("-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, "--weights", "int8", *words, *output, check=False)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "m.qopt").exists()


def test_python_has_the_same_limits(stories, folder, tmp_path):
    options = {"weights": "int4_asym", "validate": [folder / "more.txt", f"a={folder / 'tales.txt'}"]}
    summary = qopt.compile(stories, tmp_path / "m.qopt", max_kl=1, min_top1=50, **options)
    assert [slice_.name for slice_ in summary.validation.slices] == ["all", "more.txt", "a"]
    assert all(gate.met for gate in summary.validation.gates) and len(summary.validation.gates) == 6
    with pytest.raises(qopt.Error, match="limits of quality are missed") as caught:
        qopt.compile(stories, tmp_path / "n.qopt", max_perplexity_increase=0.1, **options)
    assert caught.value.code == qopt.ErrorCode.GATE_FAILED
    assert not (tmp_path / "n.qopt").exists()
    with pytest.raises(qopt.Error, match="max_kl must be from 0 or above, got nan"):
        qopt.compile(stories, tmp_path / "n.qopt", max_kl=float("nan"), **options)
    with pytest.raises(qopt.Error, match="validate is 7; expected a path"):
        qopt.compile(stories, tmp_path / "n.qopt", validate=7)
    with pytest.raises(qopt.Error, match="are for artifacts"):
        qopt.emit(stories, "quantized", validate=folder / "more.txt")


def inspected(tool, artifact):
    return json.loads(tool("qopt-inspect", artifact, "--json").stdout)


@pytest.fixture(scope="module")
def calibrated(tool, stories, folder):
    """An artifact that was calibrated and measured, the file that it came from, and what the compiler printed."""
    texts = ("--calibrate", folder / "tales.txt", "--validate", f"more={folder / 'more.txt'}")
    limits = ("--max-kl", 1, "--save-plan", folder / "plan.json", "--threads", 1, "--json")
    done = compiled(tool, stories, folder, "--lm-head", "int8", *texts, *limits)
    shutil.move(folder / "m.qopt", folder / "calibrated.qopt")
    return folder / "calibrated.qopt", json.loads(done.stdout)


def test_the_artifact_says_what_was_measured(tool, folder, calibrated):
    artifact, printed = calibrated
    found = inspected(tool, artifact)
    assert found["validation"] == printed["validation"]
    digest = hashlib.sha256((folder / "more.txt").read_bytes()).hexdigest()
    assert found["validation"]["texts"] == [{"name": "more", "file": "more.txt", "sha256": digest}]
    text = tool("qopt-inspect", artifact).stdout
    assert f"text more: more.txt, sha256 {digest}" in text
    row = next(line.split() for line in text.splitlines() if line.endswith("  met"))
    assert row[:3] == ["all", "max-kl", "1"]


def test_the_artifact_has_its_plan(tool, folder, calibrated):
    """That of --save-plan, but for the folder of the text."""
    artifact, _ = calibrated
    found, saved = inspected(tool, artifact), json.loads((folder / "plan.json").read_text())
    assert saved["calibration"]["text"] == str(folder / "tales.txt")
    saved["calibration"]["text"] = "tales.txt"
    assert found["precision_plan"] == saved
    assert found["manifest"]["seeds"] == [saved["calibration"]["seed"]]
    digest = hashlib.sha256((folder / "tales.txt").read_bytes()).hexdigest()
    assert f"calibrated on tales.txt, sha256 {digest}" in tool("qopt-inspect", artifact).stdout
    assert str(folder).encode() not in artifact.read_bytes()


def test_the_reason_of_a_weight_is_the_plan_s(tool, folder, calibrated):
    found = inspected(tool, calibrated[0])
    planned = {weight["name"]: weight for weight in found["precision_plan"]["weights"]}
    for weight in found["weights"]["list"]:
        plan = planned[weight["name"].split("+")[0]]
        assert weight["reason"].startswith(plan["reason"])
        assert f"codes by {plan['algorithm']}, predicted KL {plan['predicted_kl']}"[:30] in weight["reason"]


def test_weights_without_a_text_are_rounded(tool, stories_artifact, stories, tmp_path):
    tool("qopt-compile", stories, "--weights", "int8", "-o", tmp_path / "m.qopt")
    reasons = {weight["reason"] for weight in inspected(tool, tmp_path / "m.qopt")["weights"]["list"]}
    assert reasons == {"asked for; rounded to nearest"}
    plain = inspected(tool, stories_artifact)
    assert {weight["reason"] for weight in plain["weights"]["list"]} == {"as the file has it"}
    assert plain["validation"] is None and "calibration" not in plain["precision_plan"]


def test_the_same_inputs_give_the_same_bytes(tool, stories, folder, calibrated, tmp_path):
    """From another folder and with other threads."""
    for name in ("tales.txt", "more.txt"):
        shutil.copy(folder / name, tmp_path)
    texts = ("--calibrate", tmp_path / "tales.txt", "--validate", f"more={tmp_path / 'more.txt'}")
    compiled(tool, stories, tmp_path, "--lm-head", "int8", *texts, "--max-kl", 1, "--threads", 2)
    assert (tmp_path / "m.qopt").read_bytes() == calibrated[0].read_bytes()
