// Every record of the dialect, for TableGen.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
include "dialects/Ptx/ArithmeticOps.td"
include "dialects/Ptx/MemoryOps.td"
include "dialects/Ptx/SynchronisationOps.td"
