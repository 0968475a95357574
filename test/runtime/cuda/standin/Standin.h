// What tests ask of the stand-in for the CUDA driver besides the driver's own
// functions: how it is to behave, and what was called. QOPT_STANDIN holds the
// same text as `standinConfigure` takes, for processes that tests start:
//
//   version=12020        the driver is for CUDA 12.2
//   devices=0            GPUs that it sees
//   capability=8.0       of each; a block has the shared memory of such a GPU
//   memory=1000000       bytes of each
//   shared=20000         bytes that a block may ask for
//   checks=0             kernels run without the emulator's checks
//   schedules=4          each runs under so many, see emulator/Schedules.h
//   fail=CALL:N:RESULT   the Nth call of CALL answers RESULT; may be repeated
//   fault=N:RESULT       the Nth kernel that runs ends so, which the stream's
//                        synchronisation says; from 700 on for ever
//
// separated by commas. QOPT_STANDIN_LOG names a file that gets the calls, one a
// line, when the process ends, QOPT_STANDIN_TRAFFIC one that gets the kernels
// that ran: name, blocks, bytes of global memory that their accesses read and
// wrote.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_CUDA_STANDIN_STANDIN_H
#define QOPT_TEST_RUNTIME_CUDA_STANDIN_STANDIN_H

#include <cstddef>

extern "C" {
/// Forgets calls and faults and begins anew with these settings; objects stay.
using StandinConfigure = void(const char *settings);
/// The calls so far: "cuMemAlloc_v2 bytes=4096". A text is valid until the next
/// configuration.
using StandinCallCount = size_t();
using StandinCall = const char *(size_t index);
/// Objects that were made and not released: "context", "memory", "host",
/// "module", "stream", "graph", "executable".
using StandinLive = size_t(const char *kind);
}

#endif // QOPT_TEST_RUNTIME_CUDA_STANDIN_STANDIN_H
