// The host computes in f32: its kernels know nothing narrower. In
// a model of f16 or bf16 every value between the inputs and the outputs becomes
// f32 here, once, instead of in every kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "passes/Quantize/ActivationTypes.h"
#include "passes/Quantize/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_WIDENACTIVATIONSPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

struct WidenActivations
    : passes::impl::WidenActivationsPassBase<WidenActivations> {
  void runOnOperation() override {
    passes::changeActivations(
        getOperation(),
        {[](Type element) { return element.isF16() || element.isBF16(); },
         Float32Type::get(&getContext()), [](Operation *) { return false; }});
  }
};

} // namespace
