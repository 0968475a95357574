// The passes of the stage fuse: fewer, larger operations with the same numbers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_FUSE_PASSES
#define QOPT_PASSES_FUSE_PASSES

include "mlir/Pass/PassBase.td"

def FuseProjectionsPass : Pass<"qopt-fuse-projections", "::mlir::func::FuncOp"> {
  let summary = "one linear for projections that read the same activations";
  let description = [{
    Before: several linears of one `x` (query, key and value; gate and up), with weights of one format, or with `mixed` of
    any. After: one linear of the concatenated weights, whose result is sliced; a gated activation of both halves of one
    linear takes the whole.
    Numerics: exact: every output channel is the same sum over the same weights in the same order. Method: the horizontal
    merge that every serving engine does when it loads a model. Example: test/passes/Fuse/fuse-projections.mlir.

    Biases are merged when each linear has one that is constant. A linear with a residual stays alone; so, without `mixed`,
    does one in another format than its neighbours, and with it one whose rows do not end with a strip of 16, where rows of
    another format would follow.
  }];
  let options = [
    Option<"mixed", "mixed", "bool", /*default=*/"false", "merge weights of different formats: GPU kernels have segments">,
  ];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def FuseNormQuantizePass : Pass<"qopt-fuse-norm-quantize", "::mlir::func::FuncOp"> {
  let summary = "norms and activations write quantized results";
  let description = [{
    Before: `qopt.quantize` of the result of an operation that can write quantized activations (a norm, an activation, a
    gated activation). After: that operation writes them. Numerics: exact in f32: the same values are rounded by the same
    rule; in 16 bits they are no longer rounded to these first. Method: one pattern on QuantizingOpInterface. Example:
    test/passes/Fuse/fuse-norm-quantize.mlir.

    Where the tensor itself has another use, both stay. So do a gate or activation of 16-bit values and the quantization of
    its result where it can be part of the launch of the linear ahead of it (FuseLinear), which then stores half as much.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def FuseResidualPass : Pass<"qopt-fuse-residual", "::mlir::func::FuncOp"> {
  let summary = "residual sums become part of the linear before them";
  let description = [{
    Before: the sum of a linear and another tensor of its shape. After: the linear with that tensor as its residual.
    Numerics: exact in f32: the residual is added last, as before; in 16 bits the product is no longer rounded before the
    sum. Method: epilogue fusion. Example:
    test/passes/Fuse/fuse-residual.mlir.

    The linear must have no other use and no residual yet. Where both terms are such linears the later one takes the other.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def FuseRotaryAppendPass : Pass<"qopt-fuse-rotary-append", "::mlir::func::FuncOp"> {
  let summary = "rotary embedding and the append to the cache in one region";
  let description = [{
    Before: rotary of the keys that an append stores, and of the queries that attend to the result. After: one `qopt.fused`
    of the three (of two, where the queries are not rotated with the same table); with `norms`, of the norms of their
    heads, too, where both have one. Numerics: exact: the operations stay
    what they are. Method: fusion of small launches around the cache. Example: test/passes/Fuse/fuse-rotary-append.mlir.
  }];
  let options = [
    Option<"norms", "norms", "bool", /*default=*/"false", "take norms of heads into the region: GPU kernels normalise what they rotate">,
  ];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def SkipUnroutedRowsPass : Pass<"qopt-skip-unrouted-rows", "::mlir::func::FuncOp"> {
  let summary = "experts compute the tokens that take them";
  let description = [{
    Before: the result of a linear times one expert's column of a `qopt.route`. After: that linear, and those ahead of it of
    which nothing else reads what they make, have the column as their share, so that they compute the rows where it is not 0;
    of a weight that no token takes nothing is read. Numerics: exact for the rows that count; rows that were multiplied by 0
    are 0 even where the expert would have given an infinity or NaN. Method: conditional computation of a sparsely gated
    mixture (arXiv 1701.06538). Example: test/passes/Fuse/skip-unrouted-rows.mlir.

    For the host, whose linears are calls with any number of rows. What computes the route is moved ahead of the expert.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def FuseNormSumPass : Pass<"qopt-fuse-norm-sum", "::mlir::func::FuncOp"> {
  let summary = "a norm and the sum that it goes into in one region";
  let description = [{
    Before: the sum of a norm that nothing else reads and another tensor. After: one `qopt.fused` of both. Numerics: exact:
    the norm is rounded ahead of the sum, as before. Method: epilogue fusion. Example: test/passes/Fuse/fuse-norm-sum.mlir.

    For GPUs, whose norm kernel can add a tensor. A sum ahead of a linear is FuseLinear's.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def FuseLinearPass : Pass<"qopt-fuse-linear", "::mlir::func::FuncOp"> {
  let summary = "a linear with what is ahead of it and behind it in one region";
  let description = [{
    Before: a linear whose x is a norm, or a quantization, that only linears read; or whose result only a gated activation
    reads, or only the queries, keys and values of one region of rotary and append or of an append and its attention, or a
    chain of activations, sums and products with a number. After: one `qopt.fused` of these operations; a norm
    or quantization of several linears is in the region of each. A sum that such a norm, a quantization or the linear reads,
    and a norm that only the sum reads, are part of the region, too, where all else that reads the sum is behind it. Numerics: exact: the operations stay what they are. Method: prologue and
    epilogue fusion; what a region becomes is for SelectCudaFusions. Example: test/passes/Fuse/fuse-linear.mlir.

    For GPUs, whose linear kernels can do this work.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

#endif // QOPT_PASSES_FUSE_PASSES
