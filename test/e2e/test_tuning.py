"""Tuning of scales and norms behind calibration: closer to the model on another text, the same bytes however it is
run."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import conftest
import numpy as np
import pytest
import qopt
from e2e.test_calibration import arrays_of, divergence, stories_of

OPTIONS = ("--weights", "int3_asym", "--activations", "f32", "--algorithm", "gptq")


@pytest.fixture(scope="module")
def folder(tool, stories_artifact, tmp_path_factory):
    """calib.json, windows of 128 tokens; valid.txt; l.npy, the predictions of the model on it."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "calib.txt").write_text(stories_of(tool, stories_artifact, range(16)))
    (folder / "valid.txt").write_text(stories_of(tool, stories_artifact, range(100, 106)))
    sources = [{"path": "calib.txt"}]
    (folder / "calib.json").write_text(json.dumps({"schema": "qopt-calibration-1", "window": 128, "sources": sources}))
    tool("qopt-eval", stories_artifact, "--text", folder / "valid.txt", "--save-logits", folder / "l.npy")
    return folder


def command(stories, folder, output, *options, store=None):
    words = (conftest.BUILD / "bin/qopt-compile", stories, *OPTIONS, "--calibrate", folder / "calib.json", *options)
    store = store or output.with_suffix(".store")
    return [str(word) for word in (*words, "--store", store, "-o", output)]


@pytest.fixture(scope="module")
def tuned(stories, folder):
    plan = ("--save-plan", folder / "plan.json")
    subprocess.run(command(stories, folder, folder / "tuned.qopt", "--tune", 24, *plan), check=True)
    return folder / "tuned.qopt"


def test_it_is_closer_to_the_model_on_another_text(tool, stories, folder, tuned):
    subprocess.run(command(stories, folder, folder / "untuned.qopt"), check=True)
    before, after = (divergence(tool, folder / name, folder, folder / "l.npy") for name in ("untuned.qopt", tuned.name))
    assert after < 0.95 * before, (before, after)
    # Only what scales and norms are is another.
    assert abs(tuned.stat().st_size - (folder / "untuned.qopt").stat().st_size) < 4096


@pytest.mark.parametrize("weights", ["lut4_g32_s6", "int2_asym_g32", "int4"])
def test_scales_of_every_kind(tool, stories, folder, tmp_path, weights):
    down = ("--format", "re:^node_linear_(6|13|20|27|34)$=int4_asym")  # 172 columns, which no group divides
    found = []
    for steps in (0, 16):
        words = command(stories, folder, tmp_path / "m.qopt", "--tune", steps, *down)
        words[words.index("int3_asym")] = weights
        subprocess.run(words, check=True)
        found.append(divergence(tool, tmp_path / "m.qopt", folder, folder / "l.npy"))
    assert found[1] < 0.99 * found[0], found


def test_the_plan_and_the_artifact_say_what_was_kept(tool, stories, folder, tuned):
    plan = json.loads((folder / "plan.json").read_text())
    tuning = plan["tuning"]
    assert tuning["steps"] == 24 and 0 < tuning["kept"] <= 24 and tuning["tokens"] % 128 == 0
    assert 0 < tuning["kl_after"] < tuning["kl_before"]
    said = tool("qopt-inspect", tuned).stdout
    assert f"tuned in 24 steps, kept that of step {tuning['kept']}: KL " in said, said
    # And the plan alone is enough to make it again.
    again = folder / "again.qopt"
    tool("qopt-compile", stories, "--plan", folder / "plan.json", "-o", again)
    assert divergence(tool, again, folder, folder / "l.npy") == divergence(tool, tuned, folder, folder / "l.npy")
    assert f"kept that of step {tuning['kept']}: KL " in tool("qopt-inspect", again).stdout


def test_what_was_measured_is_what_the_artifact_does(tool, stories, stories_artifact, folder, tmp_path):
    """On the windows that no step sees, every eighth: the divergence of the model that runs, with scales as stored."""
    ids = qopt.load(stories_artifact).tokenizer.encode((folder / "calib.txt").read_text())
    windows = np.array(ids[: len(ids) // 128 * 128], np.int32).reshape(-1, 128)
    np.save(tmp_path / "all.npy", windows)
    np.save(tmp_path / "held.npy", windows[7::8][:8])
    assert len(windows[7::8]) <= 8
    calibrate = ("--calibrate", tmp_path / "all.npy", "--tune", 8, "--save-plan", tmp_path / "p.json")
    plain = ("--activations", "f32", "--kv", "f32")
    tool("qopt-compile", stories, "--weights", "f32", *plain, "-o", tmp_path / "f32.qopt")
    formats = ("--weights", "int3_asym", "--algorithm", "gptq", *plain)
    tool("qopt-compile", stories, *formats, *calibrate, "-o", tmp_path / "m.qopt")
    tuning = json.loads((tmp_path / "p.json").read_text())["tuning"]
    assert tuning["kept"] == 8 and tuning["tokens"] == windows[7::8].size
    options = ("--tokens", tmp_path / "held.npy", "--reference", tmp_path / "f32.qopt", "--json")
    found = json.loads(tool("qopt-eval", tmp_path / "m.qopt", *options).stdout)["kl"]["mean"]
    assert found == pytest.approx(tuning["kl_after"], rel=0.02)  # which counts each window's last token, too


def test_the_result_does_not_depend_on_threads(stories, folder, tuned):
    subprocess.run(command(stories, folder, folder / "one.qopt", "--tune", 24, "--threads", 1), check=True)
    assert (folder / "one.qopt").read_bytes() == tuned.read_bytes()


def states(store):
    return [path for path in pathlib.Path(store).glob("*/tuning-24.*") if not path.name.endswith(".part")]


def test_one_that_was_killed_goes_on(stories, folder, tuned, tmp_path):
    words = command(stories, folder, tmp_path / "m.qopt", "--tune", 24)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    store = tmp_path / "m.store"
    written = set()
    while process.poll() is None and len(written) < 3:  # has made some of its steps
        try:
            written |= {path.stat().st_mtime_ns for path in states(store)}
        except FileNotFoundError:
            continue
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "m.qopt").exists()
    codes = {path: path.stat().st_mtime_ns for path in store.glob("*/codes-*")}
    subprocess.run(words, check=True)
    assert (tmp_path / "m.qopt").read_bytes() == tuned.read_bytes()
    assert codes and all(path.stat().st_mtime_ns == made for path, made in codes.items())


def test_the_same_again_is_free(stories, folder, tuned):
    store = folder / "tuned.store"
    before = {path: path.stat().st_mtime_ns for path in store.glob("*/*") if path.name != "lock"}
    subprocess.run(command(stories, folder, folder / "free.qopt", "--tune", 24, store=store), check=True)
    assert (folder / "free.qopt").read_bytes() == tuned.read_bytes()
    assert before == {path: path.stat().st_mtime_ns for path in store.glob("*/*") if path.name != "lock"}


def test_codes_are_there_for_another_number_of_steps(stories, folder, tuned):
    """Steps begin with the codes of the store; another number has other steps."""
    store = folder / "tuned.store"
    codes = {path: path.stat().st_mtime_ns for path in store.glob("*/codes-*")}
    subprocess.run(command(stories, folder, folder / "few.qopt", "--tune", 2, store=store), check=True)
    assert codes == {path: path.stat().st_mtime_ns for path in store.glob("*/codes-*")}
    assert (folder / "few.qopt").read_bytes() != tuned.read_bytes()


def test_gpus_get_scales_and_norms_too(tool, stories, folder):
    calibrate = ("--calibrate", folder / "calib.json", "--algorithm", "gptq")
    options = ("--weights", "int4_asym_sf16", *calibrate, "--tune", 4, "--emit", "quantized")
    texts = [tool("qopt-compile", stories, *options, "--target", target).stdout for target in ("host", "cuda")]
    plain = tool("qopt-compile", stories, *options[:6], "--emit", "quantized").stdout

    def norms(text):
        """Their constants, which are the file's where nothing was tuned."""
        return re.findall(r"arith.constant (dense<.*>) : tensor<64xf32>", text)

    host, cuda, untuned = (arrays_of(text, "scales") for text in (*texts, plain))
    assert len(host) > 5 and host == cuda
    assert all(host[name] != untuned[name] for name in host)
    assert arrays_of(texts[0], "zeros") == arrays_of(plain, "zeros")  # codes stay
    assert len(norms(texts[0])) > 5 and norms(texts[0]) == norms(texts[1]) and norms(plain) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tune", "-1"), "--tune"),
        (("--tune", 8), "--tune lowers the divergence from the unquantized model on a text; give one as --calibrate"),
        (("--tune", 8, "--calibrate", "few.txt"), "--tune keeps what does best on windows that no step sees"),
        (("--tune", 8, "--calibrate", "calib.json", "--weights", "f16"), "no weight has codes with scales of its own"),
    ],
)
def test_what_cannot_be_tuned_is_refused(tool, stories, folder, tmp_path, options, words):
    (folder / "few.txt").write_text((folder / "calib.txt").read_text()[:6000])
    given = [folder / o if o in ("few.txt", "calib.json") else o for o in options]
    weights = () if "--weights" in options else ("--weights", "int4_asym")
    done = tool("qopt-compile", stories, *weights, *given, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert os.listdir(tmp_path) == []
