"""What a calibration has done stays: a run that was killed goes on, and the same run again is free."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import conftest
import pytest

OPTIONS = ("--bits", 4, "--candidates", "int3_asym,int4_asym,int8", "--calibrate-tokens", 4096, "--activations", "f32")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "t.txt"
    path.write_text("Once upon a time there was a little girl named Lily. She had a red ball. " * 300)
    return path


def command(stories, text, store, output):
    words = (conftest.BUILD / "bin/qopt-compile", stories, "--calibrate", text, *OPTIONS)
    return [str(word) for word in (*words, "--store", store, "-o", output)]


def entries(store):
    """Modification times, by name."""
    found = {}
    for path in pathlib.Path(store).glob("*/*"):
        try:
            found[path.name] = path.stat().st_mtime_ns
        except FileNotFoundError:  # a step was done with it meanwhile
            continue
    found.pop("lock", None)
    return found


@pytest.fixture(scope="module")
def undisturbed(stories, text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(stories, text, folder / "store", folder / "m.qopt"), check=True)
    return folder


def killed_when(process, store, is_time):
    while process.poll() is None and not is_time(entries(store)):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return entries(store)


def is_final(name):
    """What no step replaces or is done with before the end."""
    return name.startswith(("input-", "product-", "lookup-", "scores-", "codes-", "curvature-1")) and (
        not name.endswith(".part")
    )


def finished(found):
    """Final entries of whole layers: sums count when their layer's mark is there, which is written behind them."""
    marks = [made for name, made in found.items() if name.startswith("curvature-1")]
    return {
        name: made
        for name, made in found.items()
        if is_final(name) and not (name.startswith(("product-", "lookup-")) and made > max(marks, default=0))
    }


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8, 0.95])
def test_a_killed_run_goes_on_to_the_same_bytes(stories, text, undisturbed, tmp_path, part):
    """Hardly anything of what is there is made again: what belongs to the layer that was interrupted."""
    run = command(stories, text, tmp_path / "store", tmp_path / "m.qopt")
    all_of_it = 150  # entries of a run, about
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL)
    seen = set()

    def is_time(found):
        seen.update(found)
        return len(seen) > part * all_of_it

    before = killed_when(process, tmp_path / "store", is_time)
    assert before and not (tmp_path / "m.qopt").exists()
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL)
    again = {}
    while process.poll() is None:
        again |= entries(tmp_path / "store")
        time.sleep(0.005)
    assert process.returncode == 0
    assert (tmp_path / "m.qopt").read_bytes() == (undisturbed / "m.qopt").read_bytes()
    kept = finished(before)
    same = [again.get(name) == made for name, made in kept.items()]
    assert kept and sum(same) >= 0.8 * len(kept)


def test_the_same_again_is_free(stories, text, undisturbed, tmp_path):
    before = entries(undisturbed / "store")
    assert not any(name.startswith(("input-", "product-", "hidden-")) for name in before)
    start = time.monotonic()
    subprocess.run(command(stories, text, undisturbed / "store", tmp_path / "m.qopt"), check=True)
    assert time.monotonic() - start < 5
    assert (tmp_path / "m.qopt").read_bytes() == (undisturbed / "m.qopt").read_bytes()
    assert entries(undisturbed / "store") == before


def test_two_at_once_do_not_meet(stories, text, undisturbed, tmp_path):
    runs = [
        subprocess.Popen(command(stories, text, tmp_path / "store", tmp_path / f"{i}.qopt"), stdout=subprocess.DEVNULL)
        for i in range(2)
    ]
    assert [run.wait() for run in runs] == [0, 0]
    for i in range(2):
        assert (tmp_path / f"{i}.qopt").read_bytes() == (undisturbed / "m.qopt").read_bytes()


def test_another_text_is_another_calibration(stories, undisturbed, tmp_path):
    (tmp_path / "t.txt").write_text("One day, Tom went to the park to play with his big dog. " * 400)
    folders = set(os.listdir(undisturbed / "store"))
    subprocess.run(command(stories, tmp_path / "t.txt", undisturbed / "store", tmp_path / "m.qopt"), check=True)
    assert len(set(os.listdir(undisturbed / "store")) - folders) == 2  # scores and, for this budget, codes


def test_another_budget_has_the_same_scores(stories, text, undisturbed, tmp_path):
    shutil.copytree(undisturbed / "store", tmp_path / "store")
    for scores in (tmp_path / "store").glob("*/scores.*"):
        plan = json.loads(scores.read_text())
        plan["weights"][0]["alternatives"][0]["predicted_kl"] = 0.25
        scores.write_text(json.dumps(plan))
    words = list(command(stories, text, tmp_path / "store", tmp_path / "m.qopt"))
    words[words.index("--bits") + 1] = "5"
    subprocess.run([*words, "--save-plan", str(tmp_path / "p.json")], check=True)
    plan = json.loads((tmp_path / "p.json").read_text())
    assert 4.9 < plan["bits"] <= 5
    assert plan["weights"][0]["alternatives"][0]["predicted_kl"] == 0.25


def test_a_store_that_cannot_be_written_is_refused(stories, text, tmp_path):
    (tmp_path / "file").write_text("")
    run = command(stories, text, tmp_path / "file", tmp_path / "m.qopt")
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode != 0 and "--store: cannot make" in done.stderr


def test_a_damaged_entry_is_named(stories, text, undisturbed, tmp_path):
    store = tmp_path / "store"
    subprocess.run(["cp", "-r", str(undisturbed / "store"), str(store)], check=True)
    for path in store.glob("*/codes-*"):
        path.write_bytes(path.read_bytes()[:40])
    done = subprocess.run(command(stories, text, store, tmp_path / "m.qopt"), capture_output=True, text=True)
    assert done.returncode != 0
    assert "a weight in the store of calibrations is damaged; remove the folder of --store" in done.stderr
