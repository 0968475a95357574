"""Every operation of the qopt and ptx dialects is described, and its example and each of its constraints is a test."""

import pathlib
import re

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DIALECTS = ["QOpt", "Ptx"]


def records():
    """(dialect, record, operation, the record's text) of every operation."""
    found = []
    for dialect in DIALECTS:
        record = rf'^def {dialect}_(\w+)Op : {dialect}_\w+<"(\w+)"(.*?)^}}'
        for path in sorted((SOURCE / "dialects" / dialect).glob("*Ops.td")):
            for name, op, text in re.findall(record, path.read_text(), re.MULTILINE | re.DOTALL):
                found.append(pytest.param(dialect, name, op, text, id=f"{dialect.lower()}.{op}"))
    return found


def squeeze(text):
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("dialect, name, op, text", records())
def test_record_is_complete(dialect, name, op, text):
    assert name.lower() == op.replace("_", ""), "the record is named after the operation"
    summary = re.search(r'let summary = "(.*?)"', text).group(1)
    assert len(summary) <= 60 and not summary.endswith(".") and summary[0] != summary[0].upper()
    description = re.search(r"let description = \[\{(.*?)\}\];", text, re.DOTALL).group(1)
    arguments = re.search(r"let arguments = \(ins (.*?)\);", text, re.DOTALL)
    assert arguments or dialect == "Ptx", "only functions of one x have their operand from a base class"
    for operand in re.findall(r":\$(\w+)", arguments.group(1) if arguments else ":$x"):
        assert f"`{operand}`" in description, f"the description says nothing of {operand}"


@pytest.mark.parametrize("dialect, name, op, text", records())
def test_example_is_a_test(dialect, name, op, text):
    example = re.search(r"```mlir\n(.*?)```", text, re.DOTALL)
    if not example:
        assert op == "yield", "only the terminator is shown by another operation's example"
        return
    assert squeeze(example.group(1)).strip() in squeeze((SOURCE / "test/dialects" / dialect / f"{op}.mlir").read_text())


@pytest.mark.parametrize("dialect, name, op, text", records())
def test_constraints_have_negative_tests(dialect, name, op, text):
    constraints = re.findall(r"^\s*- (\(C\d+\))", text, re.MULTILINE)
    if not constraints:
        return
    tests = (SOURCE / "test/dialects" / dialect / f"{op}-invalid.mlir").read_text()
    assert [c for c in constraints if f"// {c}" not in tests] == []
    # Stated where the op is verified: its own function, with the checks that its file shares.
    sources = [path.read_text() for path in (SOURCE / "dialects" / dialect).glob("*Ops.cpp")]
    stated = "".join(source for source in sources if f"{name}Op::verify" in source) or "".join(sources)
    assert [c for c in constraints if c not in stated] == []
