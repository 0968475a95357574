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
/// them, in the layers of which an option says so.
LogicalResult storeKeysBeforeRotary(func::FuncOp function,
                                    function_ref<StringRef(int64_t)> optionOf) {
  DenseMap<int64_t, ir::KeyRotation> rotations;
  WalkResult found = function.walk([&](ir::KVAppendOp append) {
    StringRef option = optionOf(int64_t(append.getLayer()));
    if (option.empty())
      return WalkResult::advance();
    std::optional<ir::KeyRotation> rotation = rotationOf(append);
    if (!rotation) {
      append.emitError("keys of layer ")
          << append.getLayer()
          << " are not rotated by a table of their positions, so that "
             "\"before_rotary\" of "
          << option << " has nothing to put off; leave it out";
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

std::string nameOf(int64_t layer, StringRef part) {
  return ("cache." + Twine(layer) + "." + part).str();
}

struct SetCacheFormat : passes::impl::SetCacheFormatPassBase<SetCacheFormat> {
  using SetCacheFormatPassBase::SetCacheFormatPassBase;

  /// What keys and values of a layer have alike: what either says, else what
  /// all have. Nothing behind an error.
  std::optional<int64_t> shared(int64_t layer, StringRef word,
                                std::optional<int64_t> ofKeys,
                                std::optional<int64_t> ofValues,
                                int64_t ofAll) {
    if (ofKeys && ofValues && *ofKeys != *ofValues) {
      getOperation().emitError()
          << "--kv-format has " << word << "=" << *ofKeys << " for keys and "
          << word << "=" << *ofValues << " for values of layer " << layer
          << ", which are kept side by side; expected one number";
      return std::nullopt;
    }
    return ofKeys ? *ofKeys : ofValues.value_or(ofAll);
  }

  /// The formats and positions of all layers.
  struct Layers {
    SmallVector<quant::Format> keys, values;
    SmallVector<int64_t> recent, first;
    int64_t group = 1; ///< that groups of keys divide
  };

  /// Adds a layer; fails behind an error.
  LogicalResult add(ir::KVCacheType type, int64_t layer, Asked &asked,
                    Layers &layers) {
    auto own = [&](StringRef part, std::optional<quant::Format> ofAll,
                   quant::Format before) {
      return asked.layers.lookupOfCache(nameOf(layer, part))
          .value_or(quant::CacheFormat{ofAll.value_or(before)});
    };
    quant::CacheFormat keys = own("key", asked.keys, type.keyOf(layer)),
                       values = own("value", asked.values, type.valueOf(layer));
    auto latest = shared(layer, "recent", keys.recent, values.recent,
                         recent ? recent : type.recentOf(layer));
    if (!latest)
      return failure();
    // Without latest positions there are no first ones for all layers.
    auto firsts = shared(layer, "first", keys.first, values.first,
                         *latest == 0 ? 0
                         : first      ? first
                                      : type.firstOf(layer));
    if (!firsts)
      return failure();
    layers.keys.push_back(keys.format);
    layers.values.push_back(values.format);
    layers.recent.push_back(*latest);
    layers.first.push_back(*firsts);
    if (int64_t group = keys.format.groupSize)
      layers.group = std::lcm(layers.group, group);
    return success();
  }

  /// The cache with other formats; null behind an error.
  ir::KVCacheType changed(ir::KVCacheType type, Asked &asked) {
    Layers layers;
    for (int64_t layer = 0; layer < type.getLayers(); ++layer)
      if (failed(add(type, layer, asked, layers)))
        return {};
    // Whole groups lie in a page.
    int64_t size = llvm::alignTo(page ? page : type.getPage(), layers.group);
    return ir::KVCacheType::getChecked(
        [&] { return getOperation().emitError(); }, type.getContext(),
        type.getLayers(), type.getKvHeads(), type.getHeadSize(),
        ir::KVCacheType::listed(layers.keys),
        ir::KVCacheType::listed(layers.values), size,
        ir::KVCacheType::listed(layers.recent),
        ir::KVCacheType::listed(layers.first));
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
    StatusOr<passes::FormatOverrides> layers =
        passes::FormatOverrides::parseOfCache("--kv-format",
                                              llvm::to_vector(overrides));
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
    auto rotaryOption = [&](int64_t layer) -> StringRef {
      auto keys = asked.layers.lookupOfCache(nameOf(layer, "key"));
      if (keys && keys->beforeRotary)
        return "--kv-format";
      return beforeRotary ? "--kv" : "";
    };
    if (failed(storeKeysBeforeRotary(getOperation(), rotaryOption)))
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
