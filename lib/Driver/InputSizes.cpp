// Names first, so that sums find the names they are made of.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/InputSizes.h"
#include "dialects/Onnx/SymbolicDims.h"

using namespace mlir;

namespace qopt::driver {

namespace {
/// One dynamic size of an input.
struct NamedSize {
  uint32_t input, axis;
  StringRef name;
  AffineExpr expr; ///< null without a name
};

class NamedSizes {
public:
  NamedSizes(MLIRContext *context, SizeSymbols &symbols)
      : dims(context), symbols(symbols) {}

  AffineExpr parse(StringRef name) { return dims.parse(name); }
  bool isName(AffineExpr expr) const {
    auto symbol = dyn_cast_if_present<AffineSymbolExpr>(expr);
    return symbol && !dims.symbol(symbol.getPosition()).lhs;
  }

  /// The symbol of a size: that of its name or of the sum, else its own.
  uint32_t symbolOf(const NamedSize &size) {
    if (isName(size.expr)) {
      unsigned name = cast<AffineSymbolExpr>(size.expr).getPosition();
      auto entry = known.find(name);
      if (entry != known.end())
        return entry->second;
      return known[name] = ownSymbol(size);
    }
    FailureOr<uint32_t> sum = sumOf(size.expr);
    return succeeded(sum) ? *sum : ownSymbol(size);
  }

private:
  uint32_t ownSymbol(const NamedSize &size) {
    return symbols.inputDim(size.input, size.axis, size.name);
  }

  FailureOr<uint32_t> sumOf(AffineExpr expr) {
    if (!expr)
      return failure();
    bool isKnown = true;
    SmallVector<uint32_t> operands(dims.size(), 0);
    expr.walk([&](AffineExpr part) {
      auto symbol = dyn_cast<AffineSymbolExpr>(part);
      if (!symbol)
        return;
      auto entry = known.find(symbol.getPosition());
      isKnown &= entry != known.end();
      if (entry != known.end())
        operands[symbol.getPosition()] = entry->second;
    });
    if (!isKnown)
      return failure();
    return symbols.of(expr, operands, 0);
  }

  onnx::SymbolicDims dims;
  SizeSymbols &symbols;
  llvm::DenseMap<unsigned, uint32_t> known;
};
} // namespace

std::vector<std::vector<uint32_t>> inputSizes(func::FuncOp func,
                                              SizeSymbols &symbols) {
  NamedSizes named(func.getContext(), symbols);
  std::vector<std::vector<uint32_t>> sizes;
  SmallVector<NamedSize> dynamic;
  for (BlockArgument argument : func.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      continue;
    auto names =
        func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "onnx.dims");
    uint32_t input = sizes.size();
    sizes.emplace_back(type.getRank());
    for (uint32_t axis = 0; axis < type.getRank(); ++axis) {
      if (!type.isDynamicDim(axis)) {
        sizes[input][axis] = symbols.constant(type.getDimSize(axis));
        continue;
      }
      auto name = names ? dyn_cast<StringAttr>(names[axis]) : StringAttr();
      dynamic.push_back({input, axis, name ? name.getValue() : "",
                         name ? named.parse(name) : AffineExpr()});
    }
  }
  for (bool asName : {true, false})
    for (const NamedSize &size : dynamic)
      if (named.isName(size.expr) == asName)
        sizes[size.input][size.axis] = named.symbolOf(size);
  return sizes;
}

} // namespace qopt::driver
