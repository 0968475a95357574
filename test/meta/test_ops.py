"""Every operation of the qopt dialect is described, and its example and each of its constraints is a test."""

import pathlib
import re

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TESTS = SOURCE / "test/dialects/QOpt"


def records():
    """(operation, its record's text) of every operation, and what a base class gives them all."""
    found = []
    for path in sorted((SOURCE / "dialects/QOpt").glob("*Ops.td")):
        for name, op, text in re.findall(
            r'^def QOpt_(\w+)Op : QOpt_\w+<"(\w+)"(.*?)^}', path.read_text(), re.MULTILINE | re.DOTALL
        ):
            found.append(pytest.param(name, op, text, id=op))
    return found


def squeeze(text):
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("name, op, text", records())
def test_record_is_complete(name, op, text):
    assert name.lower() == op.replace("_", ""), "the record is named after the operation"
    summary = re.search(r'let summary = "(.*?)"', text).group(1)
    assert len(summary) <= 60 and not summary.endswith(".") and summary[0] != summary[0].upper()
    description = re.search(r"let description = \[\{(.*?)\}\];", text, re.DOTALL).group(1)
    arguments = re.search(r"let arguments = \(ins (.*?)\);", text, re.DOTALL).group(1)
    for operand in re.findall(r":\$(\w+)", arguments):
        assert f"`{operand}`" in description, f"the description says nothing of {operand}"


@pytest.mark.parametrize("name, op, text", records())
def test_example_is_a_test(name, op, text):
    example = re.search(r"```mlir\n(.*?)```", text, re.DOTALL)
    if not example:
        assert op == "yield", "only the terminator is shown by another operation's example"
        return
    assert squeeze(example.group(1)).strip() in squeeze((TESTS / f"{op}.mlir").read_text())


@pytest.mark.parametrize("name, op, text", records())
def test_constraints_have_negative_tests(name, op, text):
    constraints = re.findall(r"^\s*- (\(C\d+\))", text, re.MULTILINE)
    if not constraints:
        return
    tests = (TESTS / f"{op}-invalid.mlir").read_text()
    assert [c for c in constraints if f"// {c}" not in tests] == []
    # Stated where the op is verified: its own function, with the checks that its file shares.
    sources = [path.read_text() for path in (SOURCE / "dialects/QOpt").glob("*Ops.cpp")]
    stated = "".join(source for source in sources if f"{name}Op::verify" in source) or "".join(sources)
    assert [c for c in constraints if c not in stated] == []
