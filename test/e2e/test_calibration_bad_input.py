"""Calibration of models and texts that are not what one expects: one clear message, or a result that is as good."""

import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from test_calibration import stories_of

USAGE, BAD_MODEL, INFEASIBLE = 2, 3, 5
FORMAT = ("--weights", "int4", "--activations", "f32")


@pytest.fixture(scope="module")
def text(tool, stories_artifact, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "calib.txt"
    path.write_text(stories_of(tool, stories_artifact, range(20)))
    return path


def edited(stories, folder, edit):
    """A copy of the model whose initializers `edit` has changed, by name."""
    shutil.copytree(stories, folder, dirs_exist_ok=True)
    model = onnx.load(folder / "model.onnx")
    arrays = {w.name: onnx.numpy_helper.to_array(w).copy() for w in model.graph.initializer}
    changed = edit(arrays)
    for weight in model.graph.initializer:
        if weight.name in changed:
            weight.CopyFrom(onnx.numpy_helper.from_array(arrays[weight.name], weight.name))
    onnx.save(model, folder / "model.onnx")
    return folder


def linear_of(arrays):
    """A matrix of an inner layer, and no table."""
    return next(name for name, array in arrays.items() if sorted(array.shape) == [64, 172])


def fill(value, where=(3, 5)):
    def edit(arrays):
        name = linear_of(arrays)
        arrays[name][where] = value
        return [name]

    return edit


@pytest.mark.parametrize("algorithm", ["best", "clip"])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_weights_that_are_no_numbers_are_named(tool, stories, text, tmp_path, algorithm, value, word):
    model = edited(stories, tmp_path / "m", fill(value))
    options = ("--calibrate", text, "--algorithm", algorithm, "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", model, *FORMAT, *options, check=False)
    assert done.returncode in (USAGE, BAD_MODEL), done.stderr
    assert done.stderr.count("error: ") == 1 and word in done.stderr.lower() and "weight" in done.stderr, done.stderr
    assert not (tmp_path / "m.qopt").exists()


def check_not_worse_than_rounding(tool, model, folder, text, *options):
    """KL to the model in f32, beside that of weights that are rounded to nearest."""
    plain = ("--activations", "f32", "-o")
    tool("qopt-compile", model, "--weights", "f32", *plain, folder / "f32.qopt")
    tool("qopt-compile", model, "--weights", "int4", *plain, folder / "rounded.qopt")
    tool("qopt-compile", model, *FORMAT, *options, "-o", folder / "m.qopt")
    words = ("--text", text, "--windows", 2, "--reference", folder / "f32.qopt", "--json")
    rounded, found = (
        json.loads(tool("qopt-eval", folder / name, *words).stdout)["kl"]["mean"] for name in ("rounded.qopt", "m.qopt")
    )
    assert found < rounded


@pytest.mark.parametrize("algorithm", ["best", "gptq"])
@pytest.mark.parametrize(
    ("value", "where"),
    [(0, ...), (1e-42, (slice(0, 8), ...)), (0, (slice(None), 3))],
    ids=["all zero", "denormals", "a column of zeros"],
)
def test_degenerate_weights_have_codes(tool, stories, text, tmp_path, algorithm, value, where):
    model = edited(stories, tmp_path / "m", fill(value, where))
    options = ("--calibrate", text, "--algorithm", algorithm)
    check_not_worse_than_rounding(tool, model, tmp_path, text, *options)


@pytest.mark.parametrize("share", [1, 0.5], ids=["never fires", "is singular"])
def test_a_layer_that_does_not_fire_has_codes(tool, stories, text, tmp_path, share):
    """A norm's scale of zeros: what the linears behind it read is zero in all or in half of their columns."""

    def edit(arrays):
        name = [name for name, array in arrays.items() if array.shape == (64,)][2]
        arrays[name][: int(64 * share)] = 0
        return [name]

    model = edited(stories, tmp_path / "m", edit)
    check_not_worse_than_rounding(tool, model, tmp_path, text, "--calibrate", text)


@pytest.mark.parametrize("tokens", [512, 2048])
def test_a_short_text_serves_and_says_so(tool, stories, text, tmp_path, tokens):
    """No window of it is held out, and yet no weight is as if there were no text."""
    options = ("--calibrate", text, "--calibrate-tokens", tokens)
    check_not_worse_than_rounding(tool, stories, tmp_path, text, *options)
    done = tool("qopt-compile", stories, *FORMAT, *options, "-o", tmp_path / "m.qopt")
    assert f"calibration has {tokens // 512} windows of 512 tokens, and none is held out" in done.stderr


def test_text_of_another_language_is_refused(tool, stories, tmp_path):
    (tmp_path / "t.txt").write_text("从前有一个小女孩，她有一个红色的球。" * 200)
    options = ("--calibrate", tmp_path / "t.txt", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *FORMAT, *options, check=False)
    assert done.returncode == USAGE and "give text in the model's language" in done.stderr
    assert not (tmp_path / "m.qopt").exists()


def test_groups_that_do_not_divide_are_named(tool, stories, text, tmp_path):
    options = ("--weights", "int4_g32", "--calibrate", text, "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *options, check=False)
    assert (
        done.returncode == INFEASIBLE
        and 'the group size 32 of "int4_g32" does not divide the 172 columns' in done.stderr
    )


def test_memory_is_told_first(tool, stories, text, tmp_path):
    """What is said holds: the peak of the process is no more than that, and not far below."""
    options = ("--calibrate", text, "--store", tmp_path / "store", "-o", tmp_path / "m.qopt")
    program = tool("qopt-compile", "--version").args[0]
    script = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], capture_output=True, text=True);"
        "print(done.stderr, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, sep='\\n')"
    )
    words = [program, stories, *FORMAT, *options]
    done = subprocess.run([sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    (told,) = [line for line in lines if line.startswith("calibration takes about ")]
    megabytes = float(told.split()[3])
    peak = int(lines[-1]) / 1000
    assert 0.5 * peak < megabytes < 1.5 * peak, (told, peak)


@pytest.mark.parametrize(
    ("edit", "text", "message"),
    [
        (
            lambda t: t["added_tokens"].append({**t["added_tokens"][0], "id": 512, "content": "Lily"}),
            "Lily has a red ball. ",
            "has token 512, but the model's vocabulary ends at 512; give the model's own tokenizer",
        ),
        (
            lambda t: t["model"].update(byte_fallback=False, unk_token="<unk>"),
            "от начала до конца ",
            "is unknown to the tokenizer: ",
        ),
    ],
    ids=["too many tokens", "no bytes"],
)
def test_another_tokenizer_is_noticed(tool, stories, tmp_path, edit, text, message):
    tokenizer = json.loads((stories / "tokenizer.json").read_text())
    edit(tokenizer)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    (tmp_path / "t.txt").write_text(text * 400)
    options = ("--tokenizer", tmp_path / "tokenizer.json", "--calibrate", tmp_path / "t.txt")
    done = tool("qopt-compile", stories, *FORMAT, *options, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == USAGE and message in done.stderr, done.stderr
    assert not (tmp_path / "m.qopt").exists()
