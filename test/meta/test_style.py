"""What the house style counts: lengths of files, licence lines, words that no name may have."""

import pathlib
import re
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LIMITS = {".cpp": 600, ".h": 300, ".td": 400, ".mlir": 200, ".py": 600}
LONGEST_FUNCTION = 60
FORBIDDEN_WORDS = ["utils", "common", "helpers", "misc", "manager"]


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=SOURCE, capture_output=True, text=True, check=True)
    return [SOURCE / name for name in listed.stdout.split("\0") if name and (SOURCE / name).exists()]


@pytest.mark.parametrize("suffix", LIMITS)
def test_files_are_short(suffix):
    long = {}
    for path in tracked_files():
        if path.suffix == suffix:
            lines = len(path.read_text().splitlines())
            if lines > LIMITS[suffix]:
                long[str(path.relative_to(SOURCE))] = lines
    assert not long, f"longer than {LIMITS[suffix]} lines: {long}"


@pytest.mark.parametrize("command", (["check"], ["format", "--check"]), ids=" ".join)
def test_python_is_as_ruff_asks(command):
    ruff = pathlib.Path(sys.executable).with_name("ruff")
    done = subprocess.run([ruff, *command, "python", "test", "bench"], cwd=SOURCE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sources_name_their_licence():
    missing = [
        str(path.relative_to(SOURCE))
        for path in tracked_files()
        if path.suffix in (".cpp", ".h", ".td")
        and "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception" not in path.read_text()
    ]
    assert not missing


def words_of(name):
    """The words of a CamelCase or snake_case name, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def test_words_of_a_name():
    assert words_of("ShapeUtils") == ["shape", "utils"]
    assert words_of("test_misc-invalid") == ["test", "misc", "invalid"]


def test_no_drawer_names():
    bad = [
        str(path.relative_to(SOURCE))
        for path in tracked_files()
        if any(word in words_of(path.stem) for word in FORBIDDEN_WORDS)
    ]
    assert not bad


def without_text(source):
    """The code with comments and literals blanked, line by line as it was."""
    literal = r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\''
    return re.sub(literal, lambda match: "\n" * match.group().count("\n"), source, flags=re.DOTALL)


def long_functions(source, limit):
    """Name and lines of each function, by the outermost braces below namespaces and classes; tables are none."""
    found, scopes, header, line, start = [], [], "", 1, 1
    for character in without_text(source):
        line += character == "\n"
        if character == "{":
            is_scope = not re.search(r"[=)]\s*$", header) and re.search(
                r"\b(namespace|class|struct|union|extern)\b", header
            )
            is_function = (
                all(scope is None for scope in scopes) and not is_scope and "(" in header and header[-2:] != "= "
            )
            scopes.append(None if is_scope else (header.strip(), start) if is_function else ("", line))
        elif character == "}" and scopes:
            opened = scopes.pop()
            if opened and opened[0] and line - opened[1] >= limit:
                name = re.search(r"([\w:~]+|operator\S+)\s*\(", opened[0])
                found.append((name.group(1) if name else opened[0], line - opened[1] + 1))
        if character in "{};":
            header = ""
        elif header or not character.isspace():
            start = start if header else line
            header += character
    return found


def test_lengths_of_functions():
    body = "  if (x) {\n    y();\n  }\n" * 3
    table = "const int rows[] = {\n" + "    1,\n" * 30 + "};\n"
    source = (
        f"namespace a {{\n{table}struct S {{\n  int f(int x,\n        int y) const {{\n{body}  }}\n}};\n"
        f"/// {{\nstatic void g() {{\n{body}  h('}}', \"{{\");\n}}\n}} // namespace a\nint main() {{\n}}\n"
    )
    assert long_functions(source, 11) == [("f", 12), ("g", 12)]
    assert long_functions(source, 12) == []


@pytest.mark.parametrize("suffix", [".cpp", ".h"])
def test_functions_are_short(suffix):
    paths = [path for path in tracked_files() if path.suffix == suffix]
    long = {
        f"{path.relative_to(SOURCE)}: {name}": lines
        for path in paths
        for name, lines in long_functions(path.read_text(), LONGEST_FUNCTION)
    }
    assert not long, f"longer than {LONGEST_FUNCTION} lines: {long}"
