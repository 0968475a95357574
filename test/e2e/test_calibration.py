"""Weights that are quantized by what they do on a text: closer to the model than rounding, on another text."""

import json
import re
import shutil

import pytest

FORMAT = ("--weights", "int4_asym", "--activations", "f32")


def stories_of(tool, stories, seeds):
    """Text that the model writes, a few hundred tokens a seed."""
    texts = []
    for seed in seeds:
        sampling = ("--temperature", 1, "--seed", seed, "--max-tokens", 300, "--json")
        texts.append(json.loads(tool("qopt-run", stories, "--prompt", "Once", *sampling).stdout)["text"])
    return "\n".join(texts)


@pytest.fixture(scope="module")
def folder(tool, stories_artifact, tmp_path_factory):
    """calib.txt and valid.txt."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "calib.txt").write_text(stories_of(tool, stories_artifact, range(24)))
    (folder / "valid.txt").write_text(stories_of(tool, stories_artifact, range(100, 108)))
    return folder


def compiled(tool, stories, folder, name, *options, weights="int4_asym"):
    tool("qopt-compile", stories, "--weights", weights, "--activations", "f32", *options, "-o", folder / name)
    return folder / name


def divergence(tool, artifact, folder, reference):
    options = ("--text", folder / "valid.txt", "--reference", reference, "--json")
    return json.loads(tool("qopt-eval", artifact, *options).stdout)["kl"]["mean"]


@pytest.mark.parametrize(
    ("weights", "share"), [("int4_asym", 0.85), ("int3_asym", 0.7), ("int2_asym", 0.7), ("lut4", 0.85)]
)
def test_calibrated_weights_are_closer_to_the_model(tool, stories, stories_artifact, folder, weights, share):
    calibrate = ("--calibrate", folder / "calib.txt")
    rounded = compiled(tool, stories, folder, "rounded.qopt", weights=weights)
    calibrated = compiled(tool, stories, folder, "calibrated.qopt", *calibrate, weights=weights)
    tool("qopt-eval", stories_artifact, "--text", folder / "valid.txt", "--save-logits", folder / "l.npy")
    before, after = (divergence(tool, a, folder, folder / "l.npy") for a in (rounded, calibrated))
    assert after < share * before, (before, after)
    # Nothing but codes, scales and zero points is another, and what is recorded of each weight.
    assert 0 <= calibrated.stat().st_size - rounded.stat().st_size < 4096


def test_every_algorithm_rounds_the_same_weights(tool, stories, stories_artifact, folder):
    """Each by itself; the best of them is not far from the least divergence of all."""
    tool("qopt-eval", stories_artifact, "--text", folder / "valid.txt", "--save-logits", folder / "l.npy")
    found = {}
    for name in ("rtn", "clip", "gptq", "kronecker", "best"):
        options = ("--calibrate", folder / "calib.txt", "--algorithm", name)
        artifact = compiled(tool, stories, folder, f"{name}.qopt", *options)
        found[name] = divergence(tool, artifact, folder, folder / "l.npy")
    assert found["clip"] < found["rtn"] and found["gptq"] < found["clip"]
    assert found["best"] < 1.1 * min(found.values())


def test_algorithms_that_need_no_text(tool, stories, stories_artifact, folder):
    """Ranges with less error, and zero points moved by fractions: closer to the model than round to nearest."""
    tool("qopt-eval", stories_artifact, "--text", folder / "valid.txt", "--save-logits", folder / "l.npy")
    for algorithm, weights in (("clip", "int3_asym"), ("clip", "lut3"), ("hqq", "int3_asym_zf")):
        rounded = compiled(tool, stories, folder, "rounded.qopt", weights=weights)
        plan = folder / "plan.json"
        options = ("--algorithm", algorithm, "--save-plan", plan)
        artifact = compiled(tool, stories, folder, "chosen.qopt", *options, weights=weights)
        before, after = (divergence(tool, a, folder, folder / "l.npy") for a in (rounded, artifact))
        assert after < 0.97 * before, (algorithm, before, after)
        assert f"asked for; codes by {algorithm}" in tool("qopt-inspect", artifact, "--weights").stdout
        # The plan says so, too: the same weights from it alone, whatever the threads.
        tool("qopt-compile", stories, "--plan", plan, "--threads", 1, "-o", folder / "planned.qopt")
        assert divergence(tool, folder / "planned.qopt", folder, folder / "l.npy") == after


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--weights", "int4", "--algorithm", "gptq"), "which chooses codes by what they do on a text; give one as"),
        (("--weights", "int4", "--algorithm", "best"), "or ask for rtn, clip or hqq"),
        (("--weights", "int4", "--algorithm", "hqq"), 'hqq moves zero points by fractions, which "int4" of "m.lm_head'),
        (
            ("--weights", "int4_asym_zf", "--lm-head", "int8", "--algorithm", "hqq"),
            'which "int8" of "m.lm_head.weight"',
        ),
    ],
)
def test_algorithms_that_need_a_text_or_zero_points(tool, stories, tmp_path, options, words):
    done = tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == 2 and words in done.stderr, done.stderr


def test_a_plan_without_a_text_has_one_algorithm(tool, stories, folder, tmp_path):
    compiled(tool, stories, folder, "c.qopt", "--algorithm", "clip", "--save-plan", tmp_path / "p.json")
    plan = json.loads((tmp_path / "p.json").read_text())
    del plan["weights"][2]["algorithm"]
    (tmp_path / "p.json").write_text(json.dumps(plan))
    done = tool("qopt-compile", stories, "--plan", tmp_path / "p.json", "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == 2 and 'several algorithms: "clip" of' in done.stderr, done.stderr
    for weight in plan["weights"]:
        weight["algorithm"] = "gptq"
    (tmp_path / "q.json").write_text(json.dumps(plan))
    done = tool("qopt-compile", stories, "--plan", tmp_path / "q.json", "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == 2 and "the plan has codes by gptq, but no text" in done.stderr, done.stderr
    done = tool("qopt-compile", stories, "--plan", tmp_path / "p.json", "--algorithm", "clip", check=False)
    assert done.returncode == 2 and "leave --algorithm out" in done.stderr


def test_an_algorithm_that_is_none_is_refused(tool, stories, folder):
    done = tool("qopt-compile", stories, "--calibrate", folder / "calib.txt", "--algorithm", "awk", check=False)
    assert done.returncode == 2
    assert 'unknown algorithm "awk"; expected best, awq, rtn, clip, hqq, gptq, kronecker' in done.stderr


def test_the_result_does_not_depend_on_threads(tool, stories, folder):
    artifacts = [
        compiled(tool, stories, folder, f"{threads}.qopt", "--calibrate", folder / "calib.txt", "--threads", threads)
        for threads in (1, 2)
    ]
    assert artifacts[0].read_bytes() == artifacts[1].read_bytes()


def arrays_of(text, kind):
    """Scales or zero points of weights in the text of a stage, by name: those that are small enough to be printed."""
    return dict(re.findall(rf'^ +"([^"]+) {kind}": "0x([0-9A-F]+)"', text, re.MULTILINE))


def test_layers_read_what_is_asked_for(tool, stories, folder):
    """A layer's codes depend on those of the layers ahead where it reads what these make, and else on none of them."""
    found = {}
    for inputs in ("quantized", "original"):
        for ahead in ("int8", "int2_asym"):
            options = ("--calibrate", folder / "calib.txt", "--calibrate-inputs", inputs, "--algorithm", "gptq")
            others = (
                "--format",
                f"re:^node_linear(_[1-6])?$={ahead}",
                "--weights",
                "int3_asym_sf16",
                "--emit",
                "quantized",
            )
            text = tool("qopt-compile", stories, *options, *others).stdout
            found[inputs, ahead] = arrays_of(text, "scales")["node_linear_29"]  # of a layer behind those
    assert found["original", "int8"] == found["original", "int2_asym"]
    assert found["quantized", "int8"] != found["quantized", "int2_asym"]


def test_the_plan_says_what_layers_read(tool, stories, folder, tmp_path):
    options = (
        "--calibrate",
        folder / "calib.txt",
        "--calibrate-inputs",
        "original",
        "--save-plan",
        tmp_path / "p.json",
    )
    artifact = compiled(tool, stories, folder, "original.qopt", *options)
    assert json.loads((tmp_path / "p.json").read_text())["calibration"]["inputs"] == "original"
    assert "inputs of layers: original" in tool("qopt-inspect", artifact).stdout
    tool("qopt-compile", stories, "--plan", tmp_path / "p.json", "-o", tmp_path / "again.qopt")
    tool("qopt-eval", artifact, "--text", folder / "valid.txt", "--save-logits", tmp_path / "l.npy")
    assert divergence(tool, tmp_path / "again.qopt", folder, tmp_path / "l.npy") == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--calibrate-inputs", "original"), "--calibrate"),
        (("--calibrate", "c.txt", "--calibrate-inputs", "raw"), '"raw"; expected quantized or original'),
    ],
)
def test_inputs_that_are_none_are_refused(tool, stories, tmp_path, options, words):
    done = tool("qopt-compile", stories, "--weights", "int4", *options, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == 2 and words in done.stderr, done.stderr


def test_gpus_get_codes_too(tool, stories, folder):
    options = ("--weights", "int4_asym_sf16", "--calibrate", folder / "calib.txt", "--emit", "quantized")
    texts = [tool("qopt-compile", stories, *options, "--target", target).stdout for target in ("host", "cuda")]
    for kind in ("zeros", "scales"):
        arrays = [arrays_of(text, kind) for text in texts]
        assert len(arrays[0]) > 5 and arrays[0] == arrays[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; give text of the kind that the model is to be used for"),
        ("Once upon a time", "tokens; expected 512 or more, better a hundred times that"),
    ],
)
def test_a_text_that_does_not_serve_is_refused(tool, stories, tmp_path, text, message):
    (tmp_path / "t.txt").write_text(text)
    done = tool(
        "qopt-compile", stories, *FORMAT, "--calibrate", tmp_path / "t.txt", "-o", tmp_path / "m.qopt", check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "m.qopt").exists()


def test_a_text_that_is_not_there_is_named(tool, stories, tmp_path):
    done = tool("qopt-compile", stories, *FORMAT, "--calibrate", tmp_path / "none.txt", check=False)
    assert done.returncode == 9
    assert "--calibrate" in done.stderr and "none.txt" in done.stderr


def test_text_needs_a_tokenizer(tool, stories, folder, tmp_path):
    shutil.copy(stories / "model.onnx", tmp_path)
    options = ("--calibrate", folder / "calib.txt", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", tmp_path / "model.onnx", *FORMAT, *options, check=False)
    assert done.returncode == 2
    assert "no tokenizer.json is beside the model; give it as --tokenizer" in done.stderr
