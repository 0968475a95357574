// The cache of a decoder is the state that grows with the context; what it is
// stored in is the user's choice, or what a device can read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "lib/Quant/Format.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "passes/Quantize/FormatOption.h"
#include "passes/Quantize/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SETCACHEFORMATPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

struct SetCacheFormat : passes::impl::SetCacheFormatPassBase<SetCacheFormat> {
  using SetCacheFormatPassBase::SetCacheFormatPassBase;

  void runOnOperation() override {
    std::optional<quant::Format> keys, values;
    if (failed(passes::readFormat(getOperation(), "key", key, keys)) ||
        failed(passes::readFormat(getOperation(), "value", value, values)))
      return signalPassFailure();
    if (page < 0 || page % 16 != 0) {
      getOperation().emitError() << "option \"page\" is " << int64_t(page)
                                 << "; expected a multiple of 16";
      return signalPassFailure();
    }
    auto emitError = [&] { return getOperation().emitError(); };
    bool valid = true;
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](ir::KVCacheType type) -> Type {
      quant::Format chosen = keys.value_or(type.getKey());
      int64_t size = page ? page : type.getPage();
      if (chosen.groupSize) // whole groups lie in a page
        size = llvm::alignTo(size, chosen.groupSize);
      Type changed = ir::KVCacheType::getChecked(
          emitError, type.getContext(), type.getLayers(), type.getKvHeads(),
          type.getHeadSize(), chosen, values.value_or(type.getValue()), size,
          recent ? recent : type.getRecent(), first ? first : type.getFirst());
      valid &= bool(changed);
      return changed ? changed : Type(type);
    });
    replacer.recursivelyReplaceElementsIn(getOperation(),
                                          /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
    if (!valid)
      signalPassFailure();
  }
};

} // namespace
