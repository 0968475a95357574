// A model is calibrated one layer at a time, so that memory holds one layer and
// a layer sees what the quantized ones before it make. Where a layer ends is
// found in the graph: one tensor, the residual stream, is all that the rest
// needs of what was computed so far.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/SymbolicShapes.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Calibrate/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace qopt::passes {
#define GEN_PASS_DEF_CUTLAYERSPASS
#include "passes/Calibrate/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

/// A place in the order of operations: ahead of operation `place`, with `alive`
/// as the one tensor that is passed on.
struct Cut {
  size_t place;
  Value alive;
};

class LayerCutter {
public:
  explicit LayerCutter(func::FuncOp func)
      : func(func), shapes(func.getContext()) {
    while (isInput(hiddenName))
      hiddenName += "_";
    // Sizes that nobody can follow have no names.
    (void)shapes.run(func);
    for (Operation &op : func.getBody().front().without_terminator())
      (isFree(&op) ? (void)freeOps.insert(&op) : order.push_back(&op));
  }

  void run() {
    SmallVector<Cut> cuts = chooseCuts();
    Operation *end = func.getBody().front().getTerminator();
    for (size_t i = 0; i <= cuts.size(); ++i) {
      Cut first = i == 0 ? Cut{0, Value()} : cuts[i - 1];
      bool last = i == cuts.size();
      size_t behind = last ? order.size() : cuts[i].place;
      SmallVector<Value> results = last ? llvm::to_vector(end->getOperands())
                                        : SmallVector<Value>{cuts[i].alive};
      emit(unsigned(i), first, behind, results, last);
    }
    func.erase();
  }

private:
  bool isInput(StringRef name) {
    for (unsigned i = 0; i < func.getNumArguments(); ++i) {
      auto given = func.getArgAttrOfType<StringAttr>(i, "qopt.name");
      if (given && given.getValue() == name)
        return true;
    }
    return false;
  }

  /// What is computed anew in each layer that needs it.
  bool isFree(Operation *op) const {
    if (isa<ir::WeightUserOpInterface>(op) || !isPure(op))
      return false;
    return llvm::all_of(op->getOperands(), [&](Value operand) {
      Operation *source = operand.getDefiningOp();
      return !source || freeOps.contains(source);
    });
  }

  /// All places where one floating point tensor alone is alive.
  SmallVector<Cut> findCuts() const {
    DenseMap<Operation *, size_t> places;
    for (auto [place, op] : llvm::enumerate(order))
      places[op] = place;
    // The last reader of each result; returned values live to the end.
    auto lastUse = [&](Value value) {
      size_t last = 0;
      for (Operation *user : value.getUsers()) {
        auto found = places.find(user);
        last = std::max(last,
                        found == places.end() ? order.size() : found->second);
      }
      return last;
    };
    SmallVector<Cut> cuts;
    SmallVector<std::pair<Value, size_t>> alive; // with its last reader
    for (auto [place, op] : llvm::enumerate(order)) {
      llvm::erase_if(alive, [&](auto &entry) { return entry.second < place; });
      if (alive.size() == 1 && isFloatTensor(alive[0].first))
        cuts.push_back({place, alive[0].first});
      for (Value result : op->getResults())
        alive.emplace_back(result, lastUse(result));
    }
    return cuts;
  }

  static bool isFloatTensor(Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && isa<FloatType>(type.getElementType());
  }

  /// The last cut ahead of each attention that the one before does not have,
  /// and the first behind the linear ahead of the last one.
  SmallVector<Cut> chooseCuts() const {
    SmallVector<Cut> found = findCuts(), chosen;
    auto begin = [&] {
      return chosen.empty() ? size_t(0) : chosen.back().place;
    };
    SmallVector<size_t> linears;
    size_t attention = 0; // the place of the one before
    for (auto [place, op] : llvm::enumerate(order)) {
      if (isa<ir::LinearOp>(op))
        linears.push_back(place);
      if (!isa<ir::AttentionOp>(op))
        continue;
      const Cut *last = nullptr;
      for (const Cut &cut : found)
        if (cut.place > begin() && cut.place > attention && cut.place < place)
          last = &cut;
      if (last)
        chosen.push_back(*last);
      attention = place;
    }
    if (linears.size() < 2)
      return chosen;
    for (const Cut &cut : found)
      if (cut.place > linears[linears.size() - 2] && cut.place > attention &&
          cut.place <= linears.back()) {
        chosen.push_back(cut);
        break;
      }
    return chosen;
  }

  /// Values of a layer that it does not compute itself, and the free
  /// operations that it needs, in the order of the function.
  void collect(ArrayRef<Operation *> ops, ArrayRef<Value> results,
               llvm::SetVector<Value> &arguments,
               SmallPtrSetImpl<Operation *> &needed) const {
    SmallPtrSet<Operation *, 32> own(ops.begin(), ops.end());
    SmallVector<Value> work(results.begin(), results.end());
    for (Operation *op : ops)
      llvm::append_range(work, op->getOperands());
    while (!work.empty()) {
      Value value = work.pop_back_val();
      Operation *source = value.getDefiningOp();
      if (source && own.contains(source))
        continue;
      if (!source || !freeOps.contains(source))
        arguments.insert(value);
      else if (needed.insert(source).second)
        llvm::append_range(work, source->getOperands());
    }
  }

  void emit(unsigned number, const Cut &first, size_t behind,
            ArrayRef<Value> results, bool last) {
    ArrayRef<Operation *> ops =
        ArrayRef(order).slice(first.place, behind - first.place);
    llvm::SetVector<Value> used;
    SmallPtrSet<Operation *, 32> needed;
    collect(ops, results, used, needed);
    // What came before, then the graph's inputs in their order.
    SmallVector<Value> arguments;
    if (first.alive)
      arguments.push_back(first.alive);
    for (BlockArgument argument : func.getArguments())
      if (used.contains(argument))
        arguments.push_back(argument);

    OpBuilder builder(func);
    auto segment = func::FuncOp::create(
        builder, func.getLoc(), "segment_" + std::to_string(number),
        builder.getFunctionType(ValueRange(arguments).getTypes(),
                                ValueRange(results).getTypes()));
    Block *body = segment.addEntryBlock();
    IRMapping map;
    map.map(arguments, body->getArguments());
    builder.setInsertionPointToStart(body);
    needed.insert(ops.begin(), ops.end());
    for (Operation &op : func.getBody().front())
      if (needed.contains(&op))
        builder.clone(op, map);
    SmallVector<Value> returned;
    for (Value result : results)
      returned.push_back(map.lookup(result));
    func::ReturnOp::create(builder, func.getLoc(), returned);
    name(segment, arguments, last);
  }

  void name(func::FuncOp segment, ArrayRef<Value> arguments, bool last) {
    Builder builder(func.getContext());
    for (auto [index, value] : llvm::enumerate(arguments)) {
      auto argument = dyn_cast<BlockArgument>(value);
      if (argument)
        segment.setArgAttrs(index,
                            func.getArgAttrDict(argument.getArgNumber()));
      else
        nameHidden(segment, unsigned(index), value);
    }
    if (!last)
      return segment.setResultAttr(0, "qopt.name",
                                   builder.getStringAttr(hiddenName));
    for (unsigned i = 0; i < func.getNumResults(); ++i)
      segment.setResultAttrs(i, func.getResultAttrDict(i));
  }

  /// What is passed on, with sizes as the inputs call them: kernels of a layer
  /// then know which of its sizes are equal.
  void nameHidden(func::FuncOp segment, unsigned index, Value value) {
    Builder builder(func.getContext());
    segment.setArgAttr(index, "qopt.name", builder.getStringAttr(hiddenName));
    auto type = cast<RankedTensorType>(value.getType());
    ArrayAttr likely = dimsOfTokens(type);
    SmallVector<Attribute> names;
    for (auto [axis, size] : llvm::enumerate(type.getShape())) {
      std::string name = spellSize(value, unsigned(axis));
      if (!ShapedType::isDynamic(size))
        names.push_back(builder.getI64IntegerAttr(size));
      else if (!name.empty())
        names.push_back(builder.getStringAttr(name));
      else if (likely)
        names.push_back(likely[axis]);
      else
        return; // sizes of their own
    }
    segment.setArgAttr(index, "onnx.dims", builder.getArrayAttr(names));
  }

  /// A size in terms of the inputs' dimensions; empty where it is none.
  std::string spellSize(Value value, unsigned axis) {
    AffineExpr size = shapes.dim(value, axis);
    bool isNamed = bool(size);
    if (size)
      size.walk([&](AffineExpr part) {
        if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
          isNamed &= shapes.dims().symbol(symbol.getPosition()).kind ==
                     onnx::DimSymbol::Kind::Named;
      });
    return isNamed ? shapes.dims().spell(size) : std::string();
  }

  /// Those of an argument of ids and features behind them: where sizes cannot
  /// be followed, a decoder's are of its tokens. Null where there is none.
  ArrayAttr dimsOfTokens(RankedTensorType type) {
    Builder builder(func.getContext());
    for (BlockArgument argument : func.getArguments()) {
      auto tokens = dyn_cast<RankedTensorType>(argument.getType());
      auto dims = func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                   "onnx.dims");
      if (!dims || !tokens.getElementType().isInteger() ||
          tokens.getRank() + 1 != type.getRank() ||
          tokens.getShape() != type.getShape().drop_back())
        continue;
      SmallVector<Attribute> names = llvm::to_vector(dims);
      names.push_back(builder.getI64IntegerAttr(type.getShape().back()));
      return builder.getArrayAttr(names);
    }
    return nullptr;
  }

  func::FuncOp func;
  onnx::SymbolicShapes shapes;
  std::string hiddenName = "hidden"; ///< of no input
  SmallVector<Operation *> order;    ///< all but the free ones
  llvm::DenseSet<Operation *> freeOps;
};

struct CutLayers : passes::impl::CutLayersPassBase<CutLayers> {
  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp func : functions)
      LayerCutter(func).run();
  }
};

} // namespace
