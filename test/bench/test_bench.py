"""./x demo and ./x bench do what they say, on the model of the repository."""

import json
import subprocess
import sys

import conftest

RUN = conftest.SOURCE / "bench/run.py"


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
    text = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["case"] for row in rows] == ["tiny-f32", "tiny-int8"]
    for row in rows:
        assert row["qopt"] > 0 and row["peer"] > 0 and row["ratio"] == row["qopt"] / row["peer"]
        assert f"| {row['case']} | {row['qopt']:,.0f} | onnxruntime f32 |" in text


def test_unknown_case():
    done = subprocess.run([sys.executable, RUN, "--cases", "huge"], capture_output=True, text=True)
    assert done.returncode == 2 and 'no case matches "huge"; the cases are decode-28m-int4' in done.stderr
