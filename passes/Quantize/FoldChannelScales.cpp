// Channels that are large in every token decide how coarse the codes of all
// others are. Scales make them smaller and the columns of the weights that read
// them larger; this pass lets the scales disappear in constants that exist
// anyway.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include "passes/Quantize/ChannelSite.h"
#include "passes/Quantize/LinearScales.h"
#include "passes/Quantize/Passes.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

namespace qopt::passes {
#define GEN_PASS_DEF_FOLDCHANNELSCALESPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

/// Whether all columns that read one channel have one scale, positive and
/// finite.
static bool areScales(ArrayRef<float> scales, ArrayRef<int64_t> channels) {
  llvm::DenseMap<int64_t, float> known;
  for (auto [scale, channel] : llvm::zip(scales, channels)) {
    bool isNew = known.try_emplace(channel, scale).second;
    if (!std::isfinite(scale) || scale <= 0 ||
        (!isNew && known[channel] != scale))
      return false;
  }
  return true;
}

namespace {

struct FoldChannelScales
    : passes::impl::FoldChannelScalesPassBase<FoldChannelScales> {
  void runOnOperation() override {
    llvm::MapVector<Value, LinearOp> asked; // with the first that says so
    getOperation().walk([&](LinearOp linear) {
      if (linear->hasAttr(passes::channelScalesAttribute))
        asked.try_emplace(linear.getX(), linear);
    });
    for (auto [x, linear] : asked)
      if (failed(fold(x, linear)))
        return signalPassFailure();
  }

  LogicalResult fold(Value x, LinearOp linear) {
    auto attribute = linear->getAttrOfType<DenseElementsAttr>(
        passes::channelScalesAttribute);
    std::string reason;
    passes::ChannelSite site = passes::findChannelSite(x, reason);
    if (site.readers.empty())
      return linear.emitError("its input takes no channel scales: ") << reason;
    if (!attribute || !attribute.getElementType().isF32() ||
        attribute.getNumElements() != int64_t(site.channels.size()))
      return linear.emitError("its channel scales are ")
             << linear->getAttr(passes::channelScalesAttribute)
             << "; expected f32 numbers for " << site.channels.size()
             << " columns";
    auto scales = llvm::to_vector(attribute.getValues<float>());
    if (!areScales(scales, site.channels))
      return linear.emitError("its channel scales are not positive, or differ "
                              "where columns read one channel");
    for (LinearOp reader : site.readers)
      reader->removeAttr(passes::channelScalesAttribute);
    return passes::foldChannelScales(site, scales);
  }
};

} // namespace
