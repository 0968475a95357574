"""Files of a stranger who means harm, made anew from code: `python -m hostile.corpus FOLDER` writes all of them.

An entry is a folder with a model, a tokenizer, a plan or an artifact in it, the command that meets it, and what the
error must say. Kinds are the classes of attack that are known of such files: SECURITY.md lists them.
"""

import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Entry:
    """`write(folder)` makes the files; `command` is what meets them, with FOLDER for their folder."""

    name: str
    kind: str
    write: Callable[[pathlib.Path], None]
    says: str  #: a regular expression that the message has
    command: tuple = ("qopt-compile", "FOLDER/model.onnx", "--as", "graph", "-o", "FOLDER/out.qopt")
    codes: tuple = (3, 4, 9)
    environment: dict = field(default_factory=dict)

    def arguments(self, folder):
        return [word.replace("FOLDER", str(folder)) for word in self.command]


def entries():
    """All of them."""
    from hostile import artifacts, bombs, containers, external_data, graphs, packed_operators, plans, tokenizer_files

    parts = (containers, external_data, graphs, bombs, packed_operators, tokenizer_files, plans, artifacts)
    return [entry for part in parts for entry in part.entries()]


def main():
    (target,) = map(pathlib.Path, sys.argv[1:])
    made = entries()
    for entry in made:
        folder = target / entry.kind.replace(" ", "-") / entry.name
        folder.mkdir(parents=True)
        entry.write(folder)
    print(f"{len(made)} entries in {target}")


if __name__ == "__main__":
    main()
