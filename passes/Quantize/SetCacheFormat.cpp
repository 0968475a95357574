// The cache of a decoder is the state that grows with the context; what it is
// stored in is the user's choice, or what a device can read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/KeyRotation.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Quant/Format.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Matchers.h"
#include "passes/Quantize/FormatOption.h"
#include "passes/Quantize/FormatOverrides.h"
#include "passes/Quantize/Passes.h"
#include <numeric>

namespace qopt::passes {
#define GEN_PASS_DEF_SETCACHEFORMATPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

/// What the options say.
struct Asked {
  std::optional<quant::Format> keys, values;
  passes::FormatOverrides layers;
};

/// The rotation that gives an append its keys, where it is one by their
/// positions; nothing else could be done when they are read.
std::optional<ir::KeyRotation> rotationOf(ir::KVAppendOp append) {
  auto rotary = append.getK().getDefiningOp<ir::RotaryOp>();
  auto table =
      rotary ? rotary.getCos().getDefiningOp<ir::RotaryTableOp>() : nullptr;
  DenseElementsAttr frequencies;
  if (!table || rotary.getCos() != table.getCos() ||
      rotary.getSin() != table.getSin() ||
      !table.getPositions().getDefiningOp<ir::PositionsOp>() ||
      !matchPattern(table.getInvFreq(), m_Constant(&frequencies)))
    return std::nullopt;
  ir::KeyRotation rotation;
  for (const APFloat &frequency : frequencies.getValues<APFloat>())
    rotation.frequencies.push_back(float(frequency.convertToDouble()));
  rotation.scale = table.getScale().convertToFloat();
  rotation.interleaved = rotary.getInterleaved();
  return rotation;
}

/// Moves the rotation of keys from their appends to the attentions that read
/// them.
LogicalResult storeKeysBeforeRotary(func::FuncOp function) {
  DenseMap<int64_t, ir::KeyRotation> rotations;
  WalkResult found = function.walk([&](ir::KVAppendOp append) {
    std::optional<ir::KeyRotation> rotation = rotationOf(append);
    if (!rotation) {
      append.emitError("keys of layer ")
          << append.getLayer()
          << " are not rotated by a table of their positions, so that "
             "\"before_rotary\" of --kv has nothing to put off; leave it out";
      return WalkResult::interrupt();
    }
    append.getKMutable().assign(
        append.getK().getDefiningOp<ir::RotaryOp>().getX());
    rotations[append.getLayer()] = *rotation;
    return WalkResult::advance();
  });
  function.walk([&](ir::CachedAttentionOp attention) {
    auto rotation = rotations.find(attention.getLayer());
    if (rotation != rotations.end())
      ir::setKeyRotation(attention, rotation->second);
  });
  return failure(found.wasInterrupted());
}

struct SetCacheFormat : passes::impl::SetCacheFormatPassBase<SetCacheFormat> {
  using SetCacheFormatPassBase::SetCacheFormatPassBase;

  /// The cache with other formats; null behind an error.
  ir::KVCacheType changed(ir::KVCacheType type, Asked &asked) {
    SmallVector<quant::Format> keys, values;
    int64_t group = 1;
    for (int64_t layer = 0; layer < type.getLayers(); ++layer) {
      std::string name = "cache." + std::to_string(layer);
      keys.push_back(asked.layers.lookup(name + ".key")
                         .value_or(asked.keys.value_or(type.keyOf(layer))));
      values.push_back(
          asked.layers.lookup(name + ".value")
              .value_or(asked.values.value_or(type.valueOf(layer))));
      if (int64_t own = keys.back().groupSize)
        group = std::lcm(group, own);
    }
    // Whole groups lie in a page.
    int64_t size = llvm::alignTo(page ? page : type.getPage(), group);
    return ir::KVCacheType::getChecked(
        [&] { return getOperation().emitError(); }, type.getContext(),
        type.getLayers(), type.getKvHeads(), type.getHeadSize(),
        ir::KVCacheType::listed(keys), ir::KVCacheType::listed(values), size,
        recent ? recent : type.getRecent(), first ? first : type.getFirst());
  }

  /// Every entry is of use.
  bool checkUse(const passes::FormatOverrides &layers) {
    bool allFit = true;
    for (StringRef entry : layers.unmatched()) {
      getOperation().emitError()
          << "--kv-format \"" << entry
          << "\" matches no cache of the model; they are called cache.0.key, "
             "cache.0.value, cache.1.key, …";
      allFit = false;
    }
    for (StringRef entry : layers.hidden()) {
      getOperation().emitError()
          << "--kv-format \"" << entry
          << "\" has no effect: all that it matches, an earlier one matches "
             "too; put it before that or leave it out";
      allFit = false;
    }
    return allFit;
  }

  void runOnOperation() override {
    Asked asked;
    StatusOr<passes::FormatOverrides> layers = passes::FormatOverrides::parse(
        "--kv-format", llvm::to_vector(overrides));
    if (!layers.ok())
      getOperation().emitError() << layers.status().message();
    if (!layers.ok() ||
        failed(passes::readFormat(getOperation(), "key", key, asked.keys)) ||
        failed(
            passes::readFormat(getOperation(), "value", value, asked.values)))
      return signalPassFailure();
    asked.layers = std::move(*layers);
    if (page < 0 || page % 16 != 0) {
      getOperation().emitError() << "option \"page\" is " << int64_t(page)
                                 << "; expected a multiple of 16";
      return signalPassFailure();
    }
    if (beforeRotary && failed(storeKeysBeforeRotary(getOperation())))
      return signalPassFailure();
    bool valid = true;
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](ir::KVCacheType type) -> Type {
      Type cache = changed(type, asked);
      valid &= bool(cache);
      return cache ? cache : Type(type);
    });
    replacer.recursivelyReplaceElementsIn(getOperation(),
                                          /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
    if (!valid || !checkUse(asked.layers))
      signalPassFailure();
  }
};

} // namespace
