// Query, key and value are three products with the same activations, gate and
// up two. Merged, the activations are read once, one launch has enough rows for
// every core, and a gated activation finds both halves in one tensor.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include "dialects/QOpt/StoredElements.h"
#include "lib/Quant/Storage.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "passes/Fuse/Passes.h"
#include "llvm/ADT/MapVector.h"

#define DEBUG_TYPE "qopt-fuse-projections"

namespace qopt::passes {
#define GEN_PASS_DEF_FUSEPROJECTIONSPASS
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

/// One constant after the other; null unless all are constant.
static Value concatBiases(ArrayRef<LinearOp> linears, OpBuilder &builder) {
  std::vector<char> bytes;
  int64_t size = 0;
  bool hasAbsent = false;
  LinearOp first = linears.front();
  Type element = first.getBias().getType().getElementType();
  for (LinearOp linear : linears) {
    auto type = linear.getBias().getType();
    ElementsAttr elements;
    if (type.getElementType() != element ||
        !matchPattern(Value(linear.getBias()), m_Constant(&elements)))
      return {};
    hasAbsent |= areAbsent(elements);
    auto stored = StoredElements::of(elements);
    if (!stored && !areAbsent(elements))
      return {};
    if (stored)
      llvm::append_range(bytes, stored->bytes());
    size += type.getNumElements();
  }
  auto type = RankedTensorType::get({size}, element);
  ElementsAttr joined = hasAbsent
                            ? absentElements(type, "biases")
                            : DenseElementsAttr::getFromRawBuffer(type, bytes);
  return arith::ConstantOp::create(builder, first.getLoc(),
                                   cast<TypedAttr>(joined));
}

/// Moves the operations that compute a weight before `op`. They read nothing
/// but weights, so they may stand anywhere before their first use.
static void hoistWeight(Value weight, Operation *op) {
  Operation *producer = weight.getDefiningOp();
  if (!producer || producer->getBlock() != op->getBlock() ||
      producer->isBeforeInBlock(op))
    return;
  for (Value operand : producer->getOperands())
    hoistWeight(operand, op);
  producer->moveBefore(op);
}

/// The gated activation that reads the results of both linears and nothing
/// else does; null where there is none.
static GatedActivationOp gateOf(LinearOp linear) {
  if (!linear->hasOneUse())
    return {};
  auto gated = dyn_cast<GatedActivationOp>(*linear->user_begin());
  return gated && gated.getUp() ? gated : GatedActivationOp();
}

/// Makes one linear of several; null where their biases cannot be merged.
static LinearOp mergeLinears(ArrayRef<LinearOp> linears) {
  LinearOp first = *llvm::min_element(
      linears, [](LinearOp a, LinearOp b) { return a->isBeforeInBlock(b); });
  OpBuilder builder(first);
  Value bias = first.getBias() ? concatBiases(linears, builder) : Value();
  if (first.getBias() && !bias)
    return {};
  SmallVector<Value> weights;
  SmallVector<Location> locations;
  for (LinearOp linear : linears) {
    hoistWeight(linear.getWeight(), first);
    weights.push_back(linear.getWeight());
    locations.push_back(linear.getLoc());
  }
  Location loc = builder.getFusedLoc(locations);
  Value weight = ConcatWeightsOp::create(builder, loc, weights);
  auto type = first.getResult().getType();
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = cast<WeightType>(weight.getType()).getRows();
  return LinearOp::create(builder, loc, type.clone(shape), first.getX(), weight,
                          bias, Value(), first.getShare(),
                          first.getTakenAttr());
}

/// Whether rows of another format follow whole strips of 16 rows alone, which
/// is what a segment of a kernel ends with.
static bool endWithStrips(ArrayRef<LinearOp> linears) {
  constexpr int64_t strip = 16;
  int64_t rows = 0; // of the format so far
  std::optional<quant::Format> before;
  for (LinearOp linear : linears) {
    WeightType type = linear.getWeight().getType();
    if (before != type.getFormat()) {
      if (rows % strip)
        return false;
      rows = 0;
    }
    rows += type.getRows();
    before = type.getFormat();
  }
  return true;
}

/// Replaces the linears by slices of the merged one's last dimension.
static void replaceBySlices(ArrayRef<LinearOp> linears, LinearOp merged) {
  OpBuilder builder(merged->getContext());
  builder.setInsertionPointAfter(merged);
  ReifiedRankedShapedTypeDims shapes; // preferably in terms of x
  SmallVector<OpFoldResult> sizes =
      succeeded(merged.reifyResultShapes(builder, shapes))
          ? shapes.front()
          : tensor::getMixedSizes(builder, merged.getLoc(), merged.getResult());
  SmallVector<OpFoldResult> offsets(sizes.size(), builder.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(sizes.size(), builder.getIndexAttr(1));
  int64_t offset = 0;
  for (LinearOp linear : linears) {
    int64_t rows = linear.getWeight().getType().getRows();
    offsets.back() = builder.getIndexAttr(offset);
    sizes.back() = builder.getIndexAttr(rows);
    Value slice = tensor::ExtractSliceOp::create(
        builder, linear.getLoc(), linear.getResult().getType(),
        merged.getResult(), offsets, sizes, strides);
    linear.getResult().replaceAllUsesWith(slice);
    offset += rows;
  }
  for (LinearOp linear : linears) // the builder stands before one of them
    linear.erase();
}

/// Merges gate and up and lets the activation read the halves of one tensor.
static bool mergeGate(GatedActivationOp gated) {
  auto gate = gated.getGate().getDefiningOp<LinearOp>();
  auto up = gated.getUp().getDefiningOp<LinearOp>();
  LinearOp merged = mergeLinears({gate, up});
  if (!merged)
    return false;
  gated.getGateMutable().assign(merged.getResult());
  gated.getUpMutable().clear();
  gate.erase();
  up.erase();
  return true;
}

namespace {

/// What linears must have in common to be merged: what they read, which rows
/// they compute, whether they have a bias, and, where kernels have no segments,
/// the format of their weights.
struct Site {
  Block *block;
  Value x, share;
  std::optional<quant::Format> format;
  bool bias;
  Type element;
  bool operator==(const Site &) const = default;
};

struct FuseProjections
    : passes::impl::FuseProjectionsPassBase<FuseProjections> {
  using FuseProjectionsPassBase::FuseProjectionsPassBase;

  /// Linears that may be merged, by site, in the order of the program.
  SmallVector<std::pair<Site, SmallVector<LinearOp>>> collectSites() {
    SmallVector<std::pair<Site, SmallVector<LinearOp>>> sites;
    getOperation().walk([&](LinearOp linear) {
      WeightType weight = linear.getWeight().getType();
      if (linear.getResidual() || weight.getLayout() != Layout::Canonical ||
          !weight.hasOneFormat() || !quant::isByRow(weight.getFormat())) {
        remark::missed(
            linear.getLoc(),
            remark::RemarkOpts::name("NotMerged").category(DEBUG_TYPE))
            << remark::reason("it has a residual, or a weight whose scale or "
                              "layout is not by row");
        return;
      }
      Site site{linear->getBlock(),
                linear.getX(),
                linear.getShare(),
                mixed ? std::nullopt : std::optional(weight.getFormat()),
                bool(linear.getBias()),
                linear.getResult().getType().getElementType()};
      auto *found = llvm::find_if(
          sites, [&](auto &known) { return known.first == site; });
      if (found == sites.end())
        found = &sites.emplace_back(site, SmallVector<LinearOp>());
      found->second.push_back(linear);
    });
    return sites;
  }

  /// Merges what a site has: pairs of gate and up, then all that is left.
  void mergeSite(SmallVector<LinearOp> linears) {
    SmallVector<LinearOp> rest;
    llvm::SmallPtrSet<Operation *, 4> done;
    for (LinearOp linear : linears) {
      if (done.contains(linear))
        continue;
      GatedActivationOp gated = gateOf(linear);
      auto other =
          gated ? (gated.getGate() == linear.getResult() ? gated.getUp()
                                                         : gated.getGate())
                      .getDefiningOp<LinearOp>()
                : LinearOp();
      bool pair = other && other != linear && other->hasOneUse() &&
                  llvm::is_contained(linears, other);
      if (pair &&
          endWithStrips({gated.getGate().getDefiningOp<LinearOp>(),
                         gated.getUp().getDefiningOp<LinearOp>()}) &&
          mergeGate(gated))
        done.insert(other);
      else
        rest.push_back(linear);
    }
    if (endWithStrips(rest))
      return mergeRest(rest);
    llvm::MapVector<Attribute, SmallVector<LinearOp>> formats;
    for (LinearOp linear : rest) {
      quant::Format format = linear.getWeight().getType().getFormat();
      formats[FormatAttr::get(&getContext(), format)].push_back(linear);
    }
    for (auto &[format, linears] : formats)
      mergeRest(linears);
  }

  void mergeRest(ArrayRef<LinearOp> linears) {
    if (linears.size() < 2)
      return;
    if (LinearOp whole = mergeLinears(linears))
      replaceBySlices(linears, whole);
  }

  void runOnOperation() override {
    for (auto &[site, linears] : collectSites())
      if (linears.size() > 1)
        mergeSite(linears);
  }
};

} // namespace
