"""The README's transcript is what the commands print, here and now; only line breaks of long lines are its own."""

import os
import pathlib
import re
import subprocess
import sys
import textwrap

import conftest
import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def transcript():
    """Pairs of a command and what the README shows of its output; "…" stands for what it leaves out."""
    (section,) = re.findall(r"^## What it looks like\n(.*?)^## ", (SOURCE / "README.md").read_text(), re.M | re.S)
    section = section.partition("The bits per weight")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    commands = []
    for line in lines:
        if line.startswith("$ "):
            commands.append((line[2:].partition("    #")[0].strip(), []))
        else:
            commands[-1][1].append(line)
    return [(command, " ".join(" ".join(shown).split())) for command, shown in commands]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that looks like the checkout to the commands, so that what they write is not left there."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "build").mkdir()
    (folder / "build/bin").symlink_to(conftest.BUILD / "bin")
    (folder / "test").symlink_to(SOURCE / "test")
    return folder


def test_models_that_work_are_tested():
    """Each family that the table names has an export in the end-to-end tests, of the kind that the table says."""
    from e2e.test_zoo import DECODERS, GRAPH_FAMILIES

    (row,) = re.findall(r"^\| models \| (.*?) \|", (SOURCE / "README.md").read_text(), re.MULTILINE)
    decoders, graphs = re.fullmatch(
        r"causal language models \((.*)\) as decoders; these, (.*) as graphs .*", row
    ).groups()
    for names, tested in ((decoders, DECODERS), (graphs, GRAPH_FAMILIES)):
        tested = {re.sub("[^a-z0-9]", "", pathlib.Path(name).name.rpartition("-")[0]) for name in tested}
        tested = {name.replace("llama3rope", "llama3") for name in tested}
        named = names.replace("Qwen 2 and 3", "Qwen 2, Qwen 3").replace(" and ", ", ").split(", ")
        assert len(named) >= 2
        for name in named:
            assert re.sub("[^a-z0-9]", "", name.lower()) in tested, (name, tested)


def test_paths_exist():
    """Whatever a page names of the repository, from its root."""
    folders = "bench|cmake|dialects|docs|include|lib|passes|python|runtime|test|tools"
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=SOURCE, capture_output=True, text=True, check=True)
    missing = []
    for page in listed.stdout.split():
        named = re.findall(rf"`((?:{folders})/[\w./-]+)`", (SOURCE / page).read_text())
        missing += [f"{page}: {path}" for path in named if not (SOURCE / path).exists()]
    assert not missing, missing


def test_transcript(place):
    pairs = transcript()
    assert len(pairs) >= 5
    for command, shown in pairs:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        expected = ".*".join(re.escape(part.strip()) for part in shown.split("…"))
        assert shown and re.fullmatch(expected, " ".join(done.stdout.split()), re.S), f"{command}\n{done.stdout}"


def test_python_example(place):
    """The lines that follow `import qopt`, with the package that was built."""
    text = (SOURCE / "README.md").read_text()
    (example,) = re.findall(r"^    import qopt\n(?:    .*\n)+", text, re.MULTILINE)
    if not list((conftest.BUILD / "python/qopt").glob("_compiler*.so")):
        pytest.skip("the Python module was not built")
    environment = {**os.environ, "PYTHONPATH": str(conftest.BUILD / "python")}
    program = textwrap.dedent(example)
    done = subprocess.run([sys.executable, "-c", program], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Once upon a time, there was a little girl named Lily.")
