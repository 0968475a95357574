// The passes of the stage schedule: which kernel, which layout. Policy only.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_SCHEDULE_PASSES
#define QOPT_PASSES_SCHEDULE_PASSES

include "mlir/Pass/PassBase.td"

def SelectHostLayoutsPass : Pass<"qopt-select-host-layouts", "::mlir::func::FuncOp"> {
  let summary = "layout of every weight for the host's kernels";
  let description = [{
    Before: weights in canonical layout. After: the weight of each linear is packed as host_tiled; that of a look-up stays
    canonical, because one reads all of it and the other single rows, but a table that a linear reads too is stored once,
    packed. A weight that host_tiled cannot hold is an error
    that says why. Numerics: exact. Method: runtime/host/LinearLayout.h decides what can be packed. Example:
    test/passes/Schedule/select-host-layouts.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def SelectSumOrdersPass : Pass<"qopt-select-sum-orders", "::mlir::func::FuncOp"> {
  let summary = "the order of a GPU's sums for the host's kernels";
  let description = [{
    Before: regions, layouts and kernels as the stage schedule has chosen them for GPUs. After: each linear, norm and
    attention carries `qopt.sum_orders`, the order of its sums by rising number of tokens (a linear whose rows have several
    formats a list for each), and each activation an empty list, which asks for the formula of GPUs; regions have dissolved into
    their ops, weights are in canonical layout, and no op names a kernel. Keys are f32 between their rotation and the cache,
    which GPUs do in one launch, but for those that wait for their group in bf16. Warnings say what generated kernels sum or
    approximate, each target in its own way, and that f16 does not hold all such keys. Numerics: exact. Method: sumOrderOf of
    lib/Kernels. Example: test/passes/Schedule/select-sum-orders.mlir.
  }];
  let options = [
    Option<"architecture", "arch", "std::string", /*default=*/"\"sm_90a\"", "architecture whose kernels are followed">,
  ];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::qopt::onnx::OnnxDialect"];
}

def SplitLinearsPass : Pass<"qopt-split-linears", "::mlir::func::FuncOp"> {
  let summary = "a linear for each format of a weight's rows";
  let description = [{
    Before: a linear's weight may be a concatenation whose rows have several formats, and `qopt.sum_orders` has a list for
    each. After: a linear for each, with its list, whose results are concatenated; every linear has one format, as the host's kernels
    have. A weight or a bias that cannot be cut is an error that says so. Numerics: exact. Method: rows of a product do not
    depend on each other. Example: test/passes/Schedule/split-linears.mlir.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::qopt::ir::QOptDialect", "::qopt::onnx::OnnxDialect"];
}

def SelectCudaLayoutsPass : Pass<"qopt-select-cuda-layouts", "::mlir::func::FuncOp"> {
  let summary = "layout of every weight for GPU kernels";
  let description = [{
    Before: weights in canonical layout. After: the weight of each linear is packed as cuda_strips, which serves any number
    of tokens, and as cuda_strip_pairs where a gate is part of the launch; that of a look-up stays canonical. A weight that
    the kernels cannot hold is an error that says why. Numerics: exact. Method: lib/Kernels/SkinnyLinear draws the layout. Example:
    test/passes/Schedule/select-cuda-layouts.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def SelectCudaKernelsPass : Pass<"qopt-select-cuda-kernels", "::mlir::func::FuncOp"> {
  let summary = "family and schedule of every GPU kernel";
  let description = [{
    Before: operations whose weights are packed; the function of a decoder says its longest sequence (`qopt.context`).
    After: each operation that a family of kernels runs carries `qopt.kernels`, family and schedule for every architecture
    and every bucket of tokens, which code generation obeys; the others are as they were. A problem that a family knows and
    no schedule fits is an error that says why. Numerics: exact. Method: the cost models and tables of lib/Kernels, closed
    form, no measurement. Example: test/passes/Schedule/select-cuda-kernels.mlir.
  }];
  let options = [
    Option<"architectures", "arch", "std::string", /*default=*/"\"sm_90a\"", "architectures, as --arch of qopt-compile">,
  ];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def SelectCudaFusionsPass : Pass<"qopt-select-cuda-fusions", "::mlir::func::FuncOp"> {
  let summary = "what is part of a linear's launch on a GPU, and for how many tokens";
  let description = [{
    Before: regions of FuseLinear. After: a region has the kernel `linear` and says for how many tokens of a step the norm
    or quantization ahead of the linear is part of its launch, for how many the residual sum of a norm ahead of that, and for
    how many the tail behind it; a region where neither
    pays or is possible stays as it is, and its operations are launches of their own. Steps on each element behind a linear
    cost nothing and are always part of its launch. Numerics: reassociates: the norm's sum
    of squares has another order; every value is rounded where it was. Method: the cost models of both ways, closed form: a
    launch costs a dependency gap, a norm in every block costs instructions of each, the tail of queries, keys and values
    costs trips of one warp for every token of skinny_linear, trips and instructions of the blocks of gemm, a gate costs nothing. Example: test/passes/Schedule/select-cuda-fusions.mlir.
  }];
}

def SelectFusedKernelsPass : Pass<"qopt-select-fused-kernels", "::mlir::func::FuncOp"> {
  let summary = "the kernel of every fused region that has one";
  let description = [{
    Before: regions without a kernel. After: a region whose body is what a host kernel does names it (`kernel
    rotary_append`) and becomes one launch; the others run one operation after the other. Numerics: exact. Method: the
    contract of each kernel is (C4) of qopt.fused. Example: test/passes/Schedule/select-fused-kernels.mlir.
  }];
}

#endif // QOPT_PASSES_SCHEDULE_PASSES
