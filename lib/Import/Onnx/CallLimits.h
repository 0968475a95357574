// Local functions are inlined, and a file of two kilobytes can ask for more
// copies than any machine holds: thirty functions that each call the next one
// twice. What inlining will make is counted here before it begins.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_CALLLIMITS_H
#define QOPT_LIB_IMPORT_ONNX_CALLLIMITS_H

#include "onnx-file.pb.h"
#include "qopt/Status.h"
#include <cstdint>

namespace qopt::import {

constexpr unsigned deepestCall = 64;
/// Of all calls together: nodes, and bytes of the file's messages that are
/// copied for them (tensors excepted, which stay where they are; graphs in
/// attributes count sixteenfold).
constexpr uint64_t mostInlinedNodes = uint64_t(1) << 20;
constexpr uint64_t mostInlinedBytes = uint64_t(32) << 20;

/// Refuses a model whose local functions call themselves, nest deeper than
/// `deepestCall`, or become more than `mostInlinedNodes`. Takes time in the
/// size of the file, not of what it describes.
Status checkCalls(const onnx_file::ModelProto &model);

/// Graphs in attributes grow too when calls hand them on, which is seen only
/// when it happens: adds `bytes` to `total`, or refuses them.
Status takeInlined(uint64_t &total, uint64_t bytes);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_CALLLIMITS_H
