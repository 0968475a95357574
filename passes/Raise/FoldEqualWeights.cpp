// Exporters store the matrix that a model uses as token embedding and as head
// twice, the second time transposed. The two are found by what is in them, so
// that all that follows sees one weight: one format, one place in the artifact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/StoredElements.h"
#include "mlir/IR/Remarks.h"
#include "passes/Raise/Passes.h"
#include <cstring>

#define DEBUG_TYPE "qopt-fold-equal-weights"

namespace qopt::passes {
#define GEN_PASS_DEF_FOLDEQUALWEIGHTSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::ir;

/// Compares [rows, columns] with its transpose, in blocks that fit a cache.
static bool equalTransposed(const char *a, const char *b, int64_t rows,
                            int64_t columns, int64_t width) {
  constexpr int64_t block = 64;
  for (int64_t row = 0; row < rows; row += block)
    for (int64_t column = 0; column < columns; column += block)
      for (int64_t r = row; r < std::min(row + block, rows); ++r)
        for (int64_t c = column; c < std::min(column + block, columns); ++c)
          if (std::memcmp(a + (r * columns + c) * width,
                          b + (c * rows + r) * width, width) != 0)
            return false;
  return true;
}

/// True where both weights are the same matrix, bit for bit.
static bool haveEqualElements(WeightOp a, WeightOp b) {
  WeightType type = a.getResult().getType();
  if (type != b.getResult().getType() || !type.getFormat().isFloat())
    return false;
  if (a.getCodes() == b.getCodes() && a.getTransposed() == b.getTransposed())
    return true;
  auto storedLeft = StoredElements::of(a.getCodes());
  auto storedRight = StoredElements::of(b.getCodes());
  if (!storedLeft || !storedRight)
    return false;
  ArrayRef<char> left = storedLeft->bytes(), right = storedRight->bytes();
  int64_t count = type.getRows() * type.getColumns();
  if (a.getTransposed() == b.getTransposed())
    return left == right;
  const char *straight = a.getTransposed() ? right.data() : left.data();
  const char *turned = a.getTransposed() ? left.data() : right.data();
  return equalTransposed(straight, turned, type.getRows(), type.getColumns(),
                         left.size() / count);
}

/// Weights that may be equal, of which one is not there to be compared. Two
/// names of one array are the same without a look.
static bool cannotCompare(WeightOp a, WeightOp b) {
  return a.getResult().getType() == b.getResult().getType() &&
         a.getResult().getType().getFormat().isFloat() &&
         a.getCodes() != b.getCodes() &&
         (areAbsent(a.getCodes()) || areAbsent(b.getCodes()));
}

namespace {

struct FoldEqualWeights
    : qopt::passes::impl::FoldEqualWeightsPassBase<FoldEqualWeights> {
  void runOnOperation() override {
    SmallVector<WeightOp> tables;
    SmallVector<WeightUserOpInterface> products;
    getOperation().walk([&](WeightUserOpInterface user) {
      auto weight = user.getWeightOperand().get().getDefiningOp<WeightOp>();
      if (weight && user.looksUpRows())
        tables.push_back(weight);
      else if (weight)
        products.push_back(user);
    });
    for (WeightUserOpInterface user : products)
      for (WeightOp table : tables)
        if (fold(user, table))
          break;
  }

private:
  bool fold(WeightUserOpInterface user, WeightOp table) {
    auto weight = user.getWeightOperand().get().getDefiningOp<WeightOp>();
    if (weight == table || table->getBlock() != user->getBlock() ||
        weight->getBlock() != user->getBlock())
      return false;
    if (cannotCompare(table, weight))
      remark::missed(
          weight.getLoc(),
          remark::RemarkOpts::name("NotCompared").category(DEBUG_TYPE))
          << remark::add("\"{0}\" has the shape of the table \"{1}\", but "
                         "their elements were not read: where they are equal, "
                         "one is stored",
                         weight.getName(), table.getName());
    if (!haveEqualElements(table, weight))
      return false;
    // One initializer that the model uses twice is no news.
    if (weight.getName() != table.getName())
      remark::passed(weight.getLoc(),
                     remark::RemarkOpts::name("Folded").category(DEBUG_TYPE))
          << remark::add("\"{0}\" is a copy of \"{1}\", which is stored once",
                         weight.getName(), table.getName());
    // The look-up may stand behind the product.
    if (!table->isBeforeInBlock(user))
      table->moveBefore(weight);
    user.getWeightOperand().set(table.getResult());
    if (weight->use_empty())
      weight->erase();
    return true;
  }
};

} // namespace
