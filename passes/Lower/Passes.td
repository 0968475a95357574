// The passes of the stage lower: from what a model means to kernels and a plan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_PASSES
#define QOPT_PASSES_LOWER_PASSES

include "mlir/Pass/PassBase.td"

def LowerGenericPass : Pass<"qopt-lower-generic", "::mlir::func::FuncOp"> {
  let summary = "write what no kernel family of a GPU runs with linalg";
  let description = [{
    Before: a function with qopt ops, for a GPU. After: qopt.attention and qopt.rotary outside of qopt.fused are
    linalg.generic; token ids and positions that families read are i32, and ids that nobody has checked pass a
    qopt.check_indices. Numerics: exact but for the order of sums; scores and weights of attention are f32. Method: seven
    generics an attention (scores, mask, largest, exponentials, sum, weighted values, division), one a rotation. Example:
    test/passes/Lower/lower-generic.mlir.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect", "::qopt::ir::QOptDialect"];
}

def LowerOnnxPass : Pass<"qopt-lower-onnx", "::mlir::func::FuncOp"> {
  let summary = "write what raising left of the onnx dialect with linalg";
  let description = [{
    Before: a function with onnx ops, raised or not. After: none; linalg.generic on tensors for arithmetic,
    tensor.expand_shape and tensor.collapse_shape for reshapes, arith.constant, and sizes as index arithmetic on
    tensor.dim of the arguments. What cannot be lowered is reported in one error with a note a node. Numerics: exact
    but for sums, which later code may reassociate; narrow floats accumulate in f32. Method: every op computes an
    element of its result from its place. Example: test/passes/Lower/lower-onnx.mlir.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect", "::qopt::ir::QOptDialect"];
}

def LowerArithPass : Pass<"qopt-lower-arith", "::mlir::func::FuncOp"> {
  let summary = "write arithmetic on whole tensors with linalg";
  let description = [{
    Before: arith and math ops on tensors among the ops of a function, and qopt.route. After: linalg.generic with the op
    on elements, six for a route; what lies in qopt.fused stays. Numerics: exact; a route's are f32. Method: one op, one
    generic. Example: test/passes/Lower/lower-arith.mlir.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def FuseElementwisePass : Pass<"qopt-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "merge elementwise generics into the generics that read them";
  let description = [{
    Before: linalg.generic on tensors. After: a producer that is elementwise and has one reader is part of its reader, so
    that its result is never stored. Numerics: exact. Method: linalg's producer-consumer fusion. Example:
    test/passes/Lower/fuse-elementwise.mlir.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def OutlineKernelsPass : Pass<"qopt-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "turn every structured op into a kernel and its call";
  let description = [{
    Before: functions with linalg.generic on tensors. After: a qopt.generated in the place of each, and the kernel as a
    function on memrefs in the nested module `kernels` (the form that lib/Codegen/Host/KernelLoops.h draws). Booleans
    become bytes there and unsigned integers signless. Numerics: exact. Method: one structured op, one kernel; what it
    captures becomes operands. Example: test/passes/Lower/outline-kernels.mlir.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::memref::MemRefDialect",
                           "::qopt::ir::QOptDialect"];
}

def MergeKernelsPass : Pass<"qopt-merge-kernels", "::mlir::ModuleOp"> {
  let summary = "keep one of equal kernels and one of equal sizes";
  let description = [{
    Before: qopt.generated as OutlineKernels made them, their sizes simplified since. After: a kernel gets each size once,
    knows those that are constants, and kernels with the same body are one function. Numerics: exact. Method: comparison of
    printed bodies. Example: test/passes/Lower/merge-kernels.mlir.
  }];
}

def LowerPtxPass : Pass<"qopt-lower-ptx"> {
  let summary = "write ptx instructions as inline assembly";
  let description = [{
    Before: ptx ops anywhere. After: an llvm.inline_asm in the place of each, without side effects where the op has no
    memory effects; nvvm and everything else stays. Numerics: exact. Method: the op's own instruction, its registers from
    the types of its values. Example: test/passes/Lower/lower-ptx.mlir.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def LowerDeviceMathPass : Pass<"qopt-lower-device-math"> {
  let summary = "write elementary functions of GPU kernels as calls of the host's";
  let description = [{
    Before: math ops on scalars in kernels. After: calls of the functions that code generation links and inlines, and
    intrinsics for what is one instruction; fma stays. Numerics: exact but for functions of f16 and bf16, which are
    computed in f32 and rounded once. Method: as lib/Codegen/Host/HostMath.c states for each function. Example:
    test/passes/Lower/lower-device-math.mlir.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect"];
}

#endif // QOPT_PASSES_LOWER_PASSES
