"""./x demo and ./x bench do what they say, on the model of the repository."""

import dataclasses
import importlib.util
import json
import subprocess
import sys

import conftest

RUN = conftest.SOURCE / "bench/run.py"
SPEC = importlib.util.spec_from_file_location("bench_run", RUN)
bench = importlib.util.module_from_spec(SPEC)
sys.modules["bench_run"] = bench  # dataclasses look their module up
SPEC.loader.exec_module(bench)


def test_demo(tmp_path):
    (tmp_path / "bin").symlink_to(conftest.BUILD / "bin")
    done = subprocess.run([conftest.SOURCE / "bench/demo.sh", tmp_path], capture_output=True, text=True, check=True)
    assert "Once upon a time, there was a little girl named Lily." in done.stdout
    assert "| decode at context 128, batch 1 |" in done.stdout and "bits: 8.00 payload" in done.stdout
    help_text = subprocess.run([conftest.SOURCE / "bench/demo.sh", "--help"], capture_output=True, text=True).stdout
    assert help_text.startswith("./x demo\n")


def test_beside_onnxruntime(tmp_path):
    command = [sys.executable, RUN, "--build", conftest.BUILD, "--work", tmp_path / "work", "--rounds", "1"]
    command += ["--repeats", "1", "--cases", "tiny-*", "--json", tmp_path / "rows.json", "--threads", "1"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    text, rows = done.stdout, json.loads((tmp_path / "rows.json").read_text())
    assert done.returncode == (0 if all(row["met"] for row in rows) else 6), done.stderr
    assert [row["case"] for row in rows] == ["tiny-f32", "tiny-int8"]
    for row in rows:
        assert row["qopt"] > 0 and row["peer"] > 0 and row["ratio"] == row["qopt"] / row["peer"]
        assert f"| {row['case']} | {row['qopt']:,.0f} | onnxruntime f32 |" in text


def measured(monkeypatch, tmp_path, *cases):
    """The status of a run of these cases, and its figures."""
    command = ["run.py", "--build", conftest.BUILD, "--work", tmp_path / "work", "--json", tmp_path / "rows.json"]
    command += ["--rounds", 1, "--repeats", 1]
    monkeypatch.setattr(sys, "argv", [str(part) for part in command])
    monkeypatch.setattr(bench, "CASES", list(cases))
    return bench.main(), json.loads((tmp_path / "rows.json").read_text())


def test_loads(monkeypatch, tmp_path):
    """Both ways of loading are measured; one that takes longer than asked makes the status 6."""
    (load,) = [case for case in bench.CASES if case.name == "load-tiny"]
    status, rows = measured(monkeypatch, tmp_path, load)
    checked, trusted = rows
    assert status == (0 if trusted["met"] else 6) and trusted["measured"] > 0 and trusted["most"] == 50
    assert checked["measured"] > 0 and checked["most"] is None
    status, rows = measured(monkeypatch, tmp_path, dataclasses.replace(load, trusted_seconds=0))
    assert status == 6 and [row["met"] for row in rows] == [True, False]


def test_a_missed_ratio_is_an_error(monkeypatch, tmp_path, capsys):
    """Beside a peer that is made up, so that only the comparison is seen."""
    (case,) = [case for case in bench.CASES if case.name == "tiny-f32"]
    monkeypatch.setattr(bench.Bench, "measure_peer", lambda self, case: {"repeats": [1.0]})
    assert measured(monkeypatch, tmp_path, case)[0] == 0
    assert measured(monkeypatch, tmp_path, dataclasses.replace(case, asked=1e9))[0] == 6
    assert "error: missed what is asked: tiny-f32" in capsys.readouterr().err
    assert measured(monkeypatch, tmp_path, dataclasses.replace(case, fraction=1e9))[0] == 6


def test_unknown_case():
    done = subprocess.run([sys.executable, RUN, "--cases", "huge"], capture_output=True, text=True)
    assert done.returncode == 2 and 'no case matches "huge"; the cases are decode-28m-int4' in done.stderr
