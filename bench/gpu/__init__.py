"""Kernels that qopt-kernel made, launched and measured without the compiler: on a GPU or on the emulator."""
