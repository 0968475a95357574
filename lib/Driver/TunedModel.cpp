// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/TunedModel.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/Divergence.h"
#include "lib/Driver/WeightCalibration.h"
#include "lib/Quant/algorithms/Tiles.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;

namespace qopt::driver {

using calibrate::TokenStates;

StatusOr<std::unique_ptr<TunedModel>>
TunedModel::create(CalibrationModel &model, const TokenStates &predictions,
                   const CalibratedWeights &weights) {
  std::unique_ptr<TunedModel> tuned(new TunedModel(model));
  tuned->predictions = &predictions;
  size_t last = model.segments().size() - 1;
  // Of the unquantized model, so ahead of what follows.
  auto head = model.segmentAs(last, SegmentForm::Original);
  if (!head.ok())
    return head.status();
  tuned->reference = std::move(*head);
  auto compiled = model.compile(*tuned->reference, FunctionWeights::Fixed);
  if (!compiled.ok())
    return compiled.status();
  tuned->runReference.emplace(std::move(*compiled));
  for (size_t i = 0; i <= last; ++i)
    QOPT_RETURN_IF_ERROR(tuned->addLayer(i, weights));
  if (tuned->count == 0)
    return Status(StatusCode::InvalidArgument,
                  "--tune changes scales, and no weight has codes with scales "
                  "of its own; expected --weights int4_asym_g128 or the like, "
                  "or leave it out");
  for (Norm &norm : tuned->norms) {
    norm.first = int64_t(tuned->count);
    tuned->count += size_t(norm.columns);
  }
  tuned->firstTuned = size_t(
      llvm::find_if(tuned->layers,
                    [](const Layer &layer) { return !layer.linears.empty(); }) -
      tuned->layers.begin());
  for (size_t i = 0; i <= last; ++i)
    QOPT_RETURN_IF_ERROR(tuned->compileLayer(i));
  return tuned;
}

/// How often the weight of a name is read, in all layers.
static std::map<std::string, int> readersOf(CalibrationModel &model) {
  std::map<std::string, int> readers;
  for (func::FuncOp segment : model.segments())
    segment.walk([&](ir::WeightUserOpInterface user) {
      ++readers[weightNameOf(user.getWeightOperand().get())];
    });
  return readers;
}

/// Values that are written before anybody reads them.
static Value writableWeight(ir::LinearOp linear, const std::string &name) {
  OpBuilder builder(linear);
  ir::WeightType type = linear.getWeight().getType();
  auto elements = DenseElementsAttr::get(
      RankedTensorType::get({type.getRows(), type.getColumns()},
                            builder.getF32Type()),
      0.0f);
  return ir::WeightOp::create(
      builder, linear.getLoc(),
      ir::WeightType::get(builder.getContext(), type.getRows(),
                          type.getColumns(),
                          quant::floatFormat(quant::ElementType::F32)),
      builder.getStringAttr(name), elements, /*scales=*/ElementsAttr(),
      /*zeros=*/ElementsAttr(), /*transposed=*/UnitAttr(),
      ir::EncodingAttr::get(builder.getContext(), ir::Encoding::Canonical),
      /*row_factors=*/ElementsAttr(), /*column_factors=*/ElementsAttr());
}

Status TunedModel::addLayer(size_t index, const CalibratedWeights &weights) {
  func::FuncOp segment = model.segments()[index];
  std::map<std::string, int> readers = readersOf(model);
  std::map<std::string, std::string> keys; // those of codes, by name
  for (ir::QuantizeWeightOp op : quantizedWeights(segment))
    if (weights.codes.count(weightKey(op)))
      keys[weightNameOf(op.getSource())] = weightKey(op);
  replaceWeights(segment, weights.codes, "tuned layer ");
  QOPT_RETURN_IF_ERROR(correctBiases(segment, weights));
  Layer &layer = layers.emplace_back();
  SmallVector<Operation *> ops;
  SmallVector<ir::LinearOp> linears;
  segment.walk([&](ir::LinearOp op) { linears.push_back(op); });
  for (ir::LinearOp op : linears) {
    Linear linear;
    linear.name = weightNameOf(op.getWeight());
    bool isOnly = llvm::count_if(linears, [&](ir::LinearOp other) {
                    return weightNameOf(other.getWeight()) == linear.name;
                  }) == 1;
    if (linear.name.empty() || !isOnly)
      continue;
    auto stored = evaluateWeight(op.getWeight(), model.threads());
    if (!stored.ok())
      return stored.status();
    linear.stored = std::move(*stored);
    // What a table has, too, and what the file itself has codes of, stay.
    if (auto key = keys.find(linear.name);
        key != keys.end() && readers[linear.name] == 1 &&
        quant::hasTunableScales(linear.stored.format)) {
      linear.key = key->second;
      linear.scales.emplace(linear.stored.format, linear.stored.rows,
                            linear.stored.columns, linear.stored.stored());
      linear.first = int64_t(count);
      count += size_t(linear.scales->parameterCount());
    }
    layer.linears.push_back(std::move(linear));
    ops.push_back(op);
  }
  findNorms(layer, ops);
  for (auto [linear, op] : llvm::zip(layer.linears, ops))
    cast<ir::LinearOp>(op).getWeightMutable().set(
        writableWeight(cast<ir::LinearOp>(op), linear.name));
  return Status();
}

/// The norms of a layer whose every reader is one of `ops`.
void TunedModel::findNorms(Layer &layer, ArrayRef<Operation *> ops) {
  for (auto [linear, op] : llvm::zip(layer.linears, ops)) {
    Value x = cast<ir::LinearOp>(op).getX();
    Operation *norm = x.getDefiningOp();
    if (linear.norm >= 0 ||
        !isa_and_nonnull<ir::RmsNormOp, ir::LayerNormOp>(norm))
      continue;
    bool isOwn = llvm::all_of(x.getUsers(), [&](Operation *user) {
      return isa<tensor::DimOp>(user) || llvm::is_contained(ops, user);
    });
    bool isKnown =
        llvm::all_of(llvm::drop_begin(norm->getOperands()), [](Value v) {
          return !v || matchPattern(v, m_Constant());
        });
    if (!isOwn || !isKnown)
      continue;
    for (auto [other, reader] : llvm::zip(layer.linears, ops))
      if (cast<ir::LinearOp>(reader).getX() == x)
        other.norm = int64_t(norms.size());
    norms.push_back({linear.name, linear.stored.columns, 0});
  }
}

Status TunedModel::compileLayer(size_t index) {
  Layer &layer = layers[index];
  auto forward = model.segmentAs(index, SegmentForm::Original);
  if (!forward.ok())
    return forward.status();
  layer.forward = std::move(*forward);
  auto compiled = model.compile(*layer.forward, FunctionWeights::Replaceable);
  if (!compiled.ok())
    return compiled.status();
  layer.runForward.emplace(std::move(*compiled));
  if (index < firstTuned)
    return Status();
  auto backward = model.segmentAs(index, SegmentForm::Gradient);
  if (!backward.ok())
    return backward.status();
  layer.backward = std::move(*backward);
  // Both are files of one folder.
  layer.backward->setName((layer.backward->getName() + "_backward").str());
  auto other = model.compile(*layer.backward, FunctionWeights::Replaceable);
  if (!other.ok())
    return other.status();
  layer.runBackward.emplace(std::move(*other));
  return Status();
}

std::vector<float> TunedModel::columnFactors(const Linear &linear) const {
  std::vector<float> factors(size_t(linear.stored.columns), 1.0f);
  if (linear.norm >= 0)
    for (size_t j = 0; j < factors.size(); ++j)
      factors[j] =
          std::exp(parameters[size_t(norms[size_t(linear.norm)].first) + j]);
  return factors;
}

/// What the linear multiplies by, factors of the norm included.
std::vector<float> TunedModel::valuesOf(const Linear &linear) const {
  const StoredWeight &stored = linear.stored;
  std::vector<float> values(size_t(stored.rows * stored.columns)),
      factors = columnFactors(linear);
  if (linear.scales) {
    linear.scales->values(parameters.data() + linear.first, factors.data(),
                          values.data(), model.threads());
    return values;
  }
  quant::dequantizeRows(stored.format, stored.stored(), stored.rows,
                        stored.columns, values.data());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] *= factors[i % factors.size()];
  return values;
}

Status TunedModel::setParameters(const std::vector<float> &given) {
  parameters = given;
  for (Layer &layer : layers) {
    std::map<std::string, std::vector<float>> values;
    for (const Linear &linear : layer.linears)
      values[linear.name] = valuesOf(linear);
    if (values.empty())
      continue;
    auto find = [&](StringRef name) -> const float * {
      auto found = values.find(name.str());
      return found == values.end() ? nullptr : found->second.data();
    };
    QOPT_RETURN_IF_ERROR(layer.runForward->replace(find));
    if (layer.runBackward)
      QOPT_RETURN_IF_ERROR(layer.runBackward->replace(find));
  }
  return Status();
}

/// What each layer reads, then the logits; the first reads tokens.
StatusOr<std::vector<Tensor>> TunedModel::runForward(int64_t window) {
  std::vector<Tensor> hidden(1);
  for (Layer &layer : layers) {
    SmallVector<TensorView> states;
    if (hidden.size() > 1) {
      states.push_back(hidden.back().view());
      states.back().name = model.hidden();
    }
    auto results =
        model.runOn(*layer.runForward, *layer.forward, window, states);
    if (!results.ok())
      return results.status();
    hidden.push_back(results->front());
  }
  return hidden;
}

/// What the unquantized model makes of a window's last hidden states.
static StatusOr<Tensor> logitsOf(CalibrationModel &model, HostFunction &head,
                                 func::FuncOp function, int64_t window,
                                 const TokenStates &predictions) {
  auto hidden = predictions.read(window, model.hidden());
  if (!hidden.ok())
    return hidden.status();
  auto results = model.runOn(head, function, window, hidden->view());
  if (!results.ok())
    return results.status();
  return results->front();
}

StatusOr<double> TunedModel::divergence(int64_t window) {
  std::vector<float> none;
  return addGradients(window, 0, none);
}

StatusOr<double> TunedModel::addGradients(int64_t window, float factor,
                                          std::vector<float> &gradients) {
  auto hidden = runForward(window);
  if (!hidden.ok())
    return hidden.status();
  auto expected =
      logitsOf(model, *runReference, *reference, window, *predictions);
  if (!expected.ok())
    return expected.status();
  Tensor gradient = std::move(hidden->back());
  double sum = calibrate::divergenceGradients(
      expected->as<float>(), gradient.as<float>(), gradient.shape()[0],
      gradient.shape()[1], factor, model.threads());
  for (size_t i = layers.size(); factor != 0 && i-- > firstTuned;) {
    auto ahead = runBackward(i, window, (*hidden)[i], gradient, gradients);
    if (!ahead.ok())
      return ahead.status();
    gradient = std::move(*ahead);
  }
  return sum;
}

StatusOr<Tensor> TunedModel::runBackward(size_t index, int64_t window,
                                         const Tensor &hidden,
                                         const Tensor &gradient,
                                         std::vector<float> &gradients) {
  Layer &layer = layers[index];
  SmallVector<TensorView> states{gradient.view()};
  states.back().name = index + 1 == layers.size()
                           ? "logits.gradient"
                           : model.hidden() + ".gradient";
  if (index > 0) {
    states.push_back(hidden.view());
    states.back().name = model.hidden();
  }
  auto results =
      model.runOn(*layer.runBackward, *layer.backward, window, states);
  if (!results.ok())
    return results.status();
  ObservedWeights observed = weightsOf(*layer.backward, *results);
  for (const Linear &linear : layer.linears)
    if (auto found = observed.find(linear.name);
        found != observed.end() && found->second.input &&
        found->second.gradient && (linear.scales || linear.norm >= 0))
      addOf(linear, found->second, gradients);
  return results->front();
}

/// Of one weight: ∂L/∂Ŵ = gᵀ x, and what it says of the parameters.
void TunedModel::addOf(const Linear &linear, const ObservedWeight &observed,
                       std::vector<float> &gradients) const {
  int64_t tokens = observed.input->shape()[0], rows = linear.stored.rows,
          columns = linear.stored.columns;
  quant::Panels product = quant::multiply(
      quant::columnPanels({observed.gradient->as<float>(), tokens, rows}),
      quant::columnPanels({observed.input->as<float>(), tokens, columns}),
      model.threads());
  std::vector<float> ofValues(size_t(rows * columns));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      ofValues[size_t(i * columns + j)] =
          product.strip(i / quant::tileSize, j)[i % quant::tileSize];
  std::vector<float> values = valuesOf(linear);
  std::vector<float> ofColumns(static_cast<size_t>(columns));
  if (linear.scales)
    linear.scales->addGradients(ofValues.data(), values.data(),
                                gradients.data() + linear.first,
                                ofColumns.data(), model.threads());
  else
    quant::addColumnProducts(ofValues.data(), values.data(), rows, columns,
                             ofColumns.data());
  if (linear.norm < 0)
    return;
  float *ofNorm = gradients.data() + norms[size_t(linear.norm)].first;
  for (size_t j = 0; j < ofColumns.size(); ++j)
    ofNorm[j] += ofColumns[j];
}

void TunedModel::store(const std::vector<float> &best,
                       CalibratedWeights &weights) const {
  for (const Layer &layer : layers)
    for (const Linear &linear : layer.linears)
      if (linear.scales)
        linear.scales->store(best.data() + linear.first,
                             weights.codes.at(linear.key).scales());
  for (const Norm &norm : norms) {
    std::vector<float> &factors = weights.normFactors[norm.reader];
    for (int64_t j = 0; j < norm.columns; ++j)
      factors.push_back(std::exp(best[size_t(norm.first + j)]));
  }
}

} // namespace qopt::driver
