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

def SelectCudaLayoutsPass : Pass<"qopt-select-cuda-layouts", "::mlir::func::FuncOp"> {
  let summary = "layout of every weight for GPU kernels";
  let description = [{
    Before: weights in canonical layout. After: the weight of each linear is packed as cuda_strips, which serves any number
    of tokens; that of a look-up stays canonical. A weight that the kernels cannot hold is an error that says why.
    Numerics: exact. Method: lib/Kernels/SkinnyLinear draws the layout. Example:
    test/passes/Schedule/select-cuda-layouts.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def SelectFusedKernelsPass : Pass<"qopt-select-fused-kernels", "::mlir::func::FuncOp"> {
  let summary = "the kernel of every fused region that has one";
  let description = [{
    Before: regions without a kernel. After: a region whose body is what a host kernel does names it (`kernel
    rotary_append`) and becomes one launch; the others run one operation after the other. Numerics: exact. Method: the
    contract of each kernel is (C4) of qopt.fused. Example: test/passes/Schedule/select-fused-kernels.mlir.
  }];
  let statistics = [Statistic<"selected", "selected", "regions that became one launch">];
}

#endif // QOPT_PASSES_SCHEDULE_PASSES
