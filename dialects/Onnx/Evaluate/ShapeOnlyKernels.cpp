// Operations whose numbers the evaluator leaves to real kernels, but whose
// results' shapes it knows: so that a mask or a position may depend on the
// shape of an attention's result, a quantized product or a convolution without
// their data.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"

using namespace mlir;

namespace qopt::onnx {
namespace {

using Shape = HostTensor::Shape;

/// The results with the given shapes; those that the file leaves out are none.
KernelResult shapesOnly(const Call &call, ArrayRef<Shape> shapes) {
  if (call.data())
    return Call::fail("only the shapes of its results can be evaluated");
  Results results;
  for (unsigned i = 0; i < call.resultCount(); ++i) {
    if (call.element(i) == Element::None)
      results.emplace_back();
    else if (i < shapes.size())
      results.push_back(HostTensor::shapeOnly(call.element(i), shapes[i]));
    else
      return Call::fail("the shape of result " + Twine(i) + " is not known");
  }
  return results;
}

/// Every result has the shape of operand 0.
KernelResult likeFirst(const Call &call) {
  return shapesOnly(
      call, SmallVector<Shape>(call.resultCount(), Shape(call.in(0).shape())));
}

/// com.microsoft GroupQueryAttention: caches as long as all tokens so far.
KernelResult groupQueryAttention(const Call &call) {
  ArrayRef<int64_t> query = call.in(0).shape();
  int64_t heads = call.attr("num_heads", 1), kv = call.attr("kv_num_heads", 1);
  int64_t packed = call.has(1) ? heads : heads + 2 * kv;
  int64_t size = query[2] / packed;
  int64_t past = call.has(3) ? call.in(3).dim(2) : 0;
  Shape cache{query[0], kv, past + query[1], size};
  return shapesOnly(call, {{query[0], query[1], heads * size}, cache, cache});
}

KernelResult matMulNBits(const Call &call) {
  Shape shape(call.in(0).shape());
  shape.back() = call.attr("N", 0);
  return shapesOnly(call, {shape});
}

/// Packed data holds several codes a byte of its last axis.
KernelResult gatherBlockQuantized(const Call &call) {
  Shape table(call.in(0).shape());
  if (call.in(0).element() == Element::U8)
    table.back() *= 8 / call.attr("bits", 4);
  StatusOr<int64_t> axis =
      call.axis(call.attr("gather_axis", 0), call.in(0).rank());
  if (!axis)
    return axis.status();
  ArrayRef<int64_t> indices = call.in(1).shape();
  table.erase(table.begin() + *axis);
  table.insert(table.begin() + *axis, indices.begin(), indices.end());
  return shapesOnly(call, {table});
}

KernelResult qLinearMatMul(const Call &call) {
  ArrayRef<int64_t> a = call.in(0).shape(), b = call.in(3).shape();
  if (a.size() < 2 || b.size() < 2)
    return Call::fail("an operand has no rows and columns");
  auto shape = broadcastShapes(a.drop_back(2), b.drop_back(2));
  if (!shape)
    return Call::fail("the leading dimensions do not broadcast");
  shape->append({a[a.size() - 2], b.back()});
  return shapesOnly(call, {*shape});
}

/// [N, M, spatial…]; explicit pads or SAME.
KernelResult conv(const Call &call) {
  ArrayRef<int64_t> x = call.in(0).shape(), w = call.in(1).shape();
  size_t spatial = x.size() - 2;
  Shape pads = call.attrInts("pads"), strides = call.attrInts("strides");
  Shape dilations = call.attrInts("dilations");
  pads.resize(2 * spatial, 0);
  strides.resize(spatial, 1);
  dilations.resize(spatial, 1);
  bool same = call.attrString("auto_pad", "NOTSET").starts_with("SAME");
  Shape shape{x[0], w[0]};
  for (size_t d = 0; d < spatial; ++d) {
    int64_t reach = dilations[d] * (w[d + 2] - 1) + 1;
    int64_t padded = x[d + 2] + pads[d] + pads[d + spatial];
    shape.push_back(same ? (x[d + 2] + strides[d] - 1) / strides[d]
                         : (padded - reach) / strides[d] + 1);
  }
  return shapesOnly(call, {shape});
}

constexpr KernelEntry entries[] = {
    {"SwiGLU", likeFirst},
    {"GroupNormalization", likeFirst},
    {"QLinearMatMul", qLinearMatMul},
    {"Conv", conv},
    {"ms.BiasGelu", likeFirst},
    {"ms.FastGelu", likeFirst},
    {"ms.SkipSimplifiedLayerNormalization", likeFirst},
    {"ms.SkipLayerNormalization", likeFirst},
    {"ms.GroupQueryAttention", groupQueryAttention},
    {"ms.MatMulNBits", matMulNBits},
    {"ms.GatherBlockQuantized", gatherBlockQuantized},
};

} // namespace

ArrayRef<KernelEntry> shapeOnlyKernels() { return entries; }

} // namespace qopt::onnx
