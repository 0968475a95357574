// Concrete cases, and their binding to a model's arguments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/Probe.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt::passes {

//===--------------------------------------------------------------------===//
// Cases
//===--------------------------------------------------------------------===//

int64_t ProbeCase::realBefore(int64_t row, int64_t column) const {
  int64_t count = 0;
  for (int64_t t = 0; t < column; ++t)
    count += isReal(row, t);
  return count;
}

/// Row b of a padded case has 2b + 1 paddings, as far as a token remains: rows
/// differ, and the first one is padded too.
ProbeCase ProbeCase::make(int64_t batch, int64_t past, int64_t fresh,
                          Padding padding) {
  ProbeCase result;
  result.batch = batch;
  result.past = past;
  result.fresh = fresh;
  int64_t total = result.total();
  for (int64_t row = 0; row < batch; ++row) {
    int64_t pads =
        padding == Padding::None ? 0 : std::min(2 * row + 1, total - 1);
    for (int64_t t = 0; t < total; ++t)
      result.real.push_back(padding == Padding::Left ? t >= pads
                                                     : t < total - pads);
  }
  for (int64_t row = 0; row < batch; ++row) {
    int64_t before = result.realBefore(row, past);
    for (int64_t t = past; t < total; ++t) {
      bool real = result.isReal(row, t);
      result.positions.push_back(real ? before : 1);
      before += real;
    }
  }
  return result;
}

//===--------------------------------------------------------------------===//
// Binding
//===--------------------------------------------------------------------===//

Probe::Probe(func::FuncOp func) : Probe(func, ModelInputs::of(func)) {}
Probe::Probe(func::FuncOp func, ModelInputs inputs)
    : func(func), roles(std::move(inputs)) {}

/// The static size of an argument's axis, or nothing.
static std::optional<int64_t> fixedSize(Value argument, int64_t axis) {
  if (!argument)
    return std::nullopt;
  auto type = cast<RankedTensorType>(argument.getType());
  if (axis >= type.getRank() || type.isDynamicDim(axis))
    return std::nullopt;
  return type.getDimSize(axis);
}

ProbeCase Probe::fit(int64_t batch, int64_t past, int64_t fresh,
                     ProbeCase::Padding padding) const {
  batch = fixedSize(roles.tokens, 0).value_or(batch);
  fresh = fixedSize(roles.tokens, 1).value_or(fresh);
  past = hasPast() ? fixedSize(roles.past.front(), 2).value_or(past) : 0;
  if (std::optional<int64_t> total = fixedSize(roles.mask, 1))
    past = hasPast() ? std::max<int64_t>(0, *total - fresh) : 0;
  return ProbeCase::make(batch, past, fresh, padding);
}

static Element elementOfValue(Value value) {
  return elementOf(getElementTypeOrSelf(value.getType()))
      .value_or(Element::None);
}

/// The shape of an argument whose `?` stand for the given sizes by axis.
static HostTensor::Shape filledShape(Value argument, ArrayRef<int64_t> sizes) {
  auto type = cast<RankedTensorType>(argument.getType());
  HostTensor::Shape shape(type.getShape());
  for (auto [axis, size] : llvm::enumerate(shape))
    if (ShapedType::isDynamic(size))
      size = axis < sizes.size() ? sizes[axis] : 1;
  return shape;
}

/// What raising has written already: sizes that the result's type does not
/// know are those of operand 0 at the same axis. Only shapes are known.
static KernelResult raisedShape(const Call &call) {
  auto type = dyn_cast<RankedTensorType>(call.op()->getResult(0).getType());
  if (call.data() || !type)
    return Call::fail("only the shape of its result can be evaluated");
  Results results;
  for (Value result : call.op()->getResults()) {
    HostTensor::Shape shape(
        cast<RankedTensorType>(result.getType()).getShape());
    for (auto [axis, size] : llvm::enumerate(shape))
      if (ShapedType::isDynamic(size)) {
        if (static_cast<int64_t>(axis) >= call.in(0).rank())
          return Call::fail("the result's shape is not known");
        size = call.in(0).dim(static_cast<int64_t>(axis));
      }
    results.push_back(HostTensor::shapeOnly(call.element(), shape));
  }
  return results;
}

/// Rows of a table that is there as it was written: biases by distance. Of
/// larger ones only the shape is known.
static KernelResult lookedUpRows(const Call &call) {
  constexpr int64_t mostElements = 1 << 16;
  auto weight = cast<ir::EmbeddingOp>(call.op())
                    .getWeight()
                    .getDefiningOp<ir::WeightOp>();
  ElementsAttr codes = weight ? weight.getCodes() : ElementsAttr();
  if (!call.data() || !call.in(0).hasData() || !codes ||
      codes.getNumElements() > mostElements || weight.getTransposed() ||
      !isa<FloatType>(codes.getElementType()))
    return raisedShape(call);
  std::optional<HostTensor> table = HostTensor::ofAttr(codes);
  if (!table || table->rank() != 2)
    return raisedShape(call);
  std::vector<double> rows = table->floats(), values;
  int64_t width = table->dim(1);
  for (int64_t id : call.in(0).ints()) {
    if (id < 0 || id >= table->dim(0))
      return Call::fail("an index is outside the table");
    auto row = rows.begin() + id * width;
    values.insert(values.end(), row, row + width);
  }
  HostTensor::Shape shape(call.in(0).shape());
  shape.push_back(width);
  return one(HostTensor::ofFloats(call.element(), shape, values));
}

constexpr uint32_t allButFirst = ~uint32_t(1);
constexpr KernelEntry raisedKernels[] = {
    {"qopt.linear", raisedShape, 0, false, allButFirst},
    {"qopt.embedding", lookedUpRows, 0, false, allButFirst},
    {"qopt.rms_norm", raisedShape, 0, false, allButFirst},
    {"qopt.layer_norm", raisedShape, 0, false, allButFirst},
    {"qopt.activation", raisedShape, 0, false, allButFirst},
    {"qopt.gated_activation", raisedShape, 0, false, allButFirst},
    {"qopt.route", raisedShape, 0, false, allButFirst},
    {"qopt.rotary", raisedShape, 0, false, allButFirst},
    {"qopt.rotary_table", raisedShape, 0, false, allButFirst},
    {"qopt.attention", raisedShape, 0, false, allButFirst},
    {"tensor.cast", raisedShape, 0, false, allButFirst},
};

HostTensor::Shape Probe::cacheShape(Value cache,
                                    const ProbeCase &probeCase) const {
  HostTensor::Shape shape(cast<RankedTensorType>(cache.getType()).getShape());
  for (Operation *user : cache.getUsers()) {
    if (!isa<ConcatOp>(user))
      continue;
    for (Value other : user->getOperands()) {
      auto type = dyn_cast<RankedTensorType>(other.getType());
      for (int64_t axis : {1, 3})
        if (type && type.getRank() == 4 && ShapedType::isDynamic(shape[axis]))
          shape[axis] = type.getDimSize(axis);
    }
  }
  HostTensor::Shape sizes{probeCase.batch, 1, probeCase.past, 1};
  for (auto [size, known] : llvm::zip(shape, sizes))
    if (ShapedType::isDynamic(size))
      size = known;
  return shape;
}

Evaluator Probe::evaluatorFor(const ProbeCase &probeCase) const {
  Evaluator evaluator({}, raisedKernels);
  if (roles.tokens)
    evaluator.bind(
        roles.tokens,
        HostTensor::shapeOnly(
            elementOfValue(roles.tokens),
            filledShape(roles.tokens, {probeCase.batch, probeCase.fresh})));
  if (roles.mask)
    evaluator.bind(roles.mask,
                   HostTensor::ofInts(elementOfValue(roles.mask),
                                      {probeCase.batch, probeCase.total()},
                                      probeCase.real));
  if (roles.positions)
    evaluator.bind(roles.positions,
                   HostTensor::ofInts(elementOfValue(roles.positions),
                                      {probeCase.batch, probeCase.fresh},
                                      probeCase.positions));
  for (Value cache : roles.past)
    evaluator.bind(cache, HostTensor::shapeOnly(elementOfValue(cache),
                                                cacheShape(cache, probeCase)));
  for (Value keys : roles.sources)
    evaluator.bind(
        keys, HostTensor::shapeOnly(elementOfValue(keys),
                                    filledShape(keys, {probeCase.batch, 1,
                                                       probeCase.source, 1})));
  if (roles.sourceMask) {
    HostTensor::Shape shape =
        filledShape(roles.sourceMask, {probeCase.batch, probeCase.source});
    std::vector<int64_t> real(size_t(ShapedType::getNumElements(shape)), 1);
    evaluator.bind(
        roles.sourceMask,
        HostTensor::ofInts(elementOfValue(roles.sourceMask), shape, real));
  }
  bindOthers(evaluator, probeCase);
  return evaluator;
}

void Probe::bindOthers(Evaluator &evaluator, const ProbeCase &probeCase) const {
  llvm::StringMap<int64_t> sizes;
  auto learn = [&](Value argument, ArrayRef<int64_t> values) {
    for (auto [dim, value] : llvm::zip(dimensionsOf(func, argument), values))
      if (auto name = dyn_cast<StringAttr>(dim))
        sizes.try_emplace(name.getValue(), value);
  };
  learn(roles.tokens, {probeCase.batch, probeCase.fresh});
  learn(roles.mask, {probeCase.batch, probeCase.total()});
  learn(roles.sourceMask, {probeCase.batch, probeCase.source});
  for (BlockArgument argument : func::FuncOp(func).getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || argument == roles.tokens || argument == roles.mask ||
        argument == roles.positions || argument == roles.sourceMask ||
        llvm::is_contained(roles.past, argument) ||
        llvm::is_contained(roles.sources, argument))
      continue;
    HostTensor::Shape shape(type.getShape());
    for (auto [size, dim] : llvm::zip(shape, dimensionsOf(func, argument)))
      if (auto name = dyn_cast<StringAttr>(dim);
          name && sizes.contains(name.getValue()))
        size = sizes.lookup(name.getValue());
    if (llvm::none_of(shape, ShapedType::isDynamic))
      evaluator.bind(argument,
                     HostTensor::shapeOnly(elementOfValue(argument), shape));
  }
}

std::vector<ProbeCase> Probe::casesPaddedLeft() const {
  using Padding = ProbeCase::Padding;
  std::vector<ProbeCase> cases = {
      fit(1, 0, 5, Padding::None),  fit(1, 0, 7, Padding::Left),
      fit(2, 0, 7, Padding::Left),  fit(3, 0, 6, Padding::Left),
      fit(2, 0, 12, Padding::Left),
  };
  if (!hasPast())
    return cases;
  cases.push_back(fit(1, 3, 1, Padding::None));
  cases.push_back(fit(1, 5, 4, Padding::None));
  cases.push_back(fit(2, 4, 1, Padding::Left));
  cases.push_back(fit(3, 5, 4, Padding::Left));
  cases.push_back(fit(2, 2, 7, Padding::Left));
  cases.push_back(fit(2, 21, 3, Padding::Left));
  return cases;
}

/// Paddings behind the tokens of a cache would lie between old and new ones:
/// with a cache there are none.
std::vector<ProbeCase> Probe::casesPaddedRight() const {
  using Padding = ProbeCase::Padding;
  std::vector<ProbeCase> cases = {
      fit(1, 0, 5, Padding::None),   fit(1, 0, 7, Padding::Right),
      fit(2, 0, 7, Padding::Right),  fit(3, 0, 6, Padding::Right),
      fit(2, 0, 12, Padding::Right),
  };
  if (!hasPast())
    return cases;
  cases.push_back(fit(1, 3, 1, Padding::None));
  cases.push_back(fit(2, 5, 4, Padding::None));
  cases.push_back(fit(3, 4, 1, Padding::None));
  cases.push_back(fit(2, 21, 3, Padding::None));
  return cases;
}

//===--------------------------------------------------------------------===//
// Lengths at which something may change
//===--------------------------------------------------------------------===//

constexpr int64_t longestLength = int64_t(1) << 20;

std::set<int64_t> harvestLengths(Value mask) {
  std::set<int64_t> lengths;
  llvm::DenseSet<Operation *> seen;
  SmallVector<Value> open{mask};
  auto note = [&](const HostTensor &tensor) {
    if (tensor.count() > 64)
      return;
    for (double value : tensor.floats())
      if (std::abs(value) > 1 && std::abs(value) <= longestLength &&
          value == std::floor(value))
        lengths.insert(static_cast<int64_t>(std::abs(value)));
  };
  while (!open.empty()) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (!op || !seen.insert(op).second)
      continue;
    for (NamedAttribute attribute : op->getAttrs())
      if (auto elements = dyn_cast<ElementsAttr>(attribute.getValue()))
        if (elements.getNumElements() <= 64)
          if (std::optional<HostTensor> tensor = HostTensor::ofAttr(elements))
            note(*tensor);
    const KernelEntry *entry = findKernel(op->getName().stripDialect());
    if (entry && entry->shapesSuffice)
      continue; // what a shape is taken of adds no lengths
    open.append(op->operand_begin(), op->operand_end());
    op->walk([&](Operation *inner) {
      if (inner != op)
        open.append(inner->operand_begin(), inner->operand_end());
    });
  }
  return lengths;
}

//===--------------------------------------------------------------------===//
// Words
//===--------------------------------------------------------------------===//

static StringRef nameOf(PositionSource source) {
  switch (source) {
  case PositionSource::PositionIds:
    return "position_ids";
  case PositionSource::PastAndIndex:
    return "past and index";
  case PositionSource::MaskSum:
    return "sum of attention_mask";
  }
  return "";
}

std::string describe(const MaskKind &kind) {
  SmallVector<std::string> words;
  if (kind.causal)
    words.push_back("causal");
  if (kind.window)
    words.push_back("window " + std::to_string(*kind.window));
  if (kind.padding)
    words.push_back(kind.rightPadded ? "padding on the right" : "padding");
  if (!kind.slopes.empty())
    words.push_back("slopes of " + std::to_string(kind.slopes.size()) +
                    " heads");
  if (!kind.biases.empty())
    words.push_back("biases of " + std::to_string(kind.biases.size()) +
                    " heads for " + std::to_string(kind.biases[0].size()) +
                    " distances");
  return words.empty() ? "none" : llvm::join(words, ", ");
}

std::string describe(const PositionKind &kind) {
  return nameOf(kind.source).str() +
         (kind.offset ? " + " + std::to_string(kind.offset) : "") +
         (kind.rightPadded ? ", padding on the right" : "");
}

std::string describe(const RotaryKind &kind) {
  StringRef layout = kind.layout == TableLayout::Half     ? "half"
                     : kind.layout == TableLayout::Halves ? "halves"
                                                          : "repeated";
  return llvm::formatv(
      "{0} frequencies, scale {1}, {2}, {3}", kind.inverseFrequencies.size(),
      static_cast<float>(kind.scale), layout, nameOf(kind.source));
}

} // namespace qopt::passes
