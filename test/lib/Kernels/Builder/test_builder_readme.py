"""The builder's README shows a kernel as it is built and the PTX that it becomes."""

import pathlib
import re

SOURCE = pathlib.Path(__file__).resolve().parents[4]
README = (SOURCE / "lib/Kernels/Builder/README.md").read_text()


def block(language):
    return re.search(rf"```{language}\n(.*?)```", README, re.DOTALL).group(1)


def test_readme_shows_the_source():
    assert block("cpp") in (SOURCE / "test/lib/Kernels/Builder/ScaleKernel.cpp").read_text()


def test_readme_shows_the_ptx(tool):
    """From the first directive on; blank lines and comments of LLVM's are not shown."""
    text = tool("scale-kernel").stdout
    lines = [line.split("//")[0].rstrip() for line in text.expandtabs(4).splitlines()]
    assert block("ptx") == "\n".join(line for line in lines if line) + "\n"
