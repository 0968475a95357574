// Rotary embedding of queries and keys and the append to the cache, token by
// token: what a decoder does between its projections and its attention, in one
// pass. The numbers are those of Rotary.h and KvAppend.cpp, bit for bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_ROTARYAPPEND_H
#define QOPT_RUNTIME_HOST_ROTARYAPPEND_H

#include "runtime/host/CachedAttention.h"
#include "runtime/host/Rotary.h"

namespace qopt::host {

/// `append.key` holds the keys before they are rotated; the heads, size,
/// channels, pairing and table of their rotation are those of `queries`, whose
/// `heads` is 0 where queries are not rotated here.
struct RotaryAppendArguments {
  RotaryArguments queries;
  KvAppendArguments append;
};

void rotaryAppend(const RotaryAppendArguments &arguments, ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_ROTARYAPPEND_H
