"""One CamelCase name of a pass derives its record, argument, file and test; its description has the five words."""

import pathlib
import re

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def records():
    found = []
    for path in sorted((SOURCE / "passes").glob("*/Passes.td")):
        for name, argument, text in re.findall(
            r'^def (\w+)Pass : Pass<"([\w-]+)"(.*?)^}', path.read_text(), re.MULTILINE | re.DOTALL
        ):
            found.append(pytest.param(path.parent, name, argument, text, id=name))
    return found


@pytest.mark.parametrize("stage, name, argument, text", records())
def test_names_agree(stage, name, argument, text):
    kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    assert argument == f"qopt-{kebab}"
    assert (stage / f"{name}.cpp").exists()
    assert (SOURCE / "test/passes" / stage.name / f"{kebab}.mlir").exists()


@pytest.mark.parametrize("stage, name, argument, text", records())
def test_description_has_the_five_words(stage, name, argument, text):
    assert [word for word in ("Before:", "After:", "Numerics:", "Method:", "Example:") if word not in text] == []
    example = re.search(r"Example:\s+(test/[\w./-]+\w)", text).group(1)
    assert (SOURCE / example).exists()


@pytest.mark.parametrize("stage, name, argument, text", records())
def test_pipeline_page_names_the_pass(stage, name, argument, text):
    assert re.search(rf"\b{name}\b", (SOURCE / "passes/README.md").read_text())


@pytest.mark.parametrize("stage, name, argument, text", records())
def test_counts_nothing_that_assertions_move(stage, name, argument, text):
    """Statistics are nothing in a release LLVM, and `Pass::Statistic` has another layout beside assertions."""
    assert "let statistics" not in text and "Pass::Statistic" not in (stage / f"{name}.cpp").read_text()
