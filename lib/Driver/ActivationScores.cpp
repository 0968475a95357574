// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ActivationScores.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/WeightCalibration.h"
#include "lib/Driver/WeightEvaluator.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "runtime/host/Linear.h"
#include "llvm/ADT/STLExtras.h"
#include <set>
#include <tuple>

using namespace mlir;

namespace qopt::driver {

namespace {

/// A weight's transpose, packed for products with gradients of its results.
struct TransposedWeight {
  host::LinearLayout layout;
  std::vector<uint8_t> bytes; ///< from the first aligned one on

  const void *packed() const {
    auto address = reinterpret_cast<uintptr_t>(bytes.data());
    return bytes.data() + (64 - address % 64) % 64;
  }
};

/// The squares of what the errors of some formats do to one tensor's readers.
struct ProbedTensor {
  size_t layer = 0;
  std::vector<std::string> weights;
  std::vector<quant::Format> formats; ///< of codes
  std::vector<double> sums;           ///< by format
  int64_t columns = 0, tokens = 0;
};

class Scoring {
public:
  Scoring(CalibrationModel &model, const ActivationScoring &options)
      : model(model), options(options), pool(int(model.threads())) {}

  /// Reads the weights of a layer that others have not.
  Status enter(size_t layer);
  void observe(const ObservedWeights &observed);
  std::vector<PlannedActivation> take() const;

private:
  std::vector<quant::Format> codesOf(int64_t columns) const;
  ProbedTensor &probeOf(llvm::ArrayRef<std::string> weights, int64_t columns);
  void add(ProbedTensor &probe, const Tensor &x, const float *gradient);

  CalibrationModel &model;
  const ActivationScoring &options;
  host::ThreadPool pool;
  size_t layer = 0;
  std::map<std::string, TransposedWeight> transposes; ///< of the layer
  std::map<std::string, size_t> owners; ///< layers that weights were read in
  std::map<std::string, ProbedTensor> probes; ///< by the first weight
};

} // namespace

static StatusOr<TransposedWeight> transposed(Value source, unsigned threads) {
  auto weight = evaluateWeight(source, threads);
  if (!weight.ok())
    return weight.status();
  int64_t rows = weight->rows, columns = weight->columns;
  std::vector<float> values(size_t(rows * columns)), turned(values.size());
  quant::dequantizeRows(weight->format, weight->stored(), rows, columns,
                        values.data());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      turned[size_t(c * rows + r)] = values[size_t(r * columns + c)];
  auto layout = host::linearLayout(quant::floatFormat(quant::ElementType::F32),
                                   columns, rows);
  if (!layout.ok())
    return layout.status();
  TransposedWeight result{*layout, {}};
  result.bytes.resize(size_t(layout->packedBytes()) + 64);
  quant::StoredRows stored;
  stored.codes = reinterpret_cast<const uint8_t *>(turned.data());
  host::packWeight(*layout, stored, const_cast<void *>(result.packed()));
  return result;
}

Status Scoring::enter(size_t number) {
  layer = number;
  transposes.clear();
  func::FuncOp segment = model.segments()[layer];
  for (ir::QuantizeWeightOp op : quantizedWeights(segment)) {
    std::string name = weightNameOf(op.getSource());
    bool isRead = llvm::any_of(op->getUsers(), [](Operation *user) {
      return isa<ir::LinearOp>(user);
    });
    if (!isRead || !owners.try_emplace(name, layer).second)
      continue;
    auto weight = transposed(op.getSource(), model.threads());
    if (!weight.ok())
      return weight.status();
    transposes.emplace(name, std::move(*weight));
  }
  return Status();
}

std::vector<quant::Format> Scoring::codesOf(int64_t columns) const {
  std::vector<quant::Format> formats;
  for (const std::string &name : activationCandidates(options.target)) {
    quant::Format format = *quant::parseFormat(name);
    bool isLong = format.element == quant::ElementType::Int8 &&
                  !format.isGrouped() && columns > quant::longestInt8Sum;
    if (!format.isFloat() && !isLong &&
        quant::groupFault(format, columns).empty())
      formats.push_back(format);
  }
  return formats;
}

ProbedTensor &Scoring::probeOf(llvm::ArrayRef<std::string> weights,
                               int64_t columns) {
  auto [place, isNew] = probes.try_emplace(weights.front());
  ProbedTensor &probe = place->second;
  if (isNew) {
    probe.layer = layer;
    probe.weights.assign(weights.begin(), weights.end());
    probe.columns = columns;
    probe.formats = codesOf(columns);
    probe.sums.resize(probe.formats.size());
  }
  return probe;
}

void Scoring::observe(const ObservedWeights &observed) {
  std::map<const Tensor *, std::vector<std::string>> readers;
  for (auto &[name, tensors] : observed)
    if (tensors.input && tensors.gradient && transposes.count(name))
      readers[tensors.input].push_back(name);
  for (auto &[x, weights] : readers) {
    int64_t tokens = x->shape()[0], columns = x->shape().back();
    std::vector<float> gradient(size_t(tokens * columns));
    for (const std::string &name : weights) {
      const TransposedWeight &weight = transposes.at(name);
      host::LinearArguments a;
      a.layout = weight.layout;
      a.weight = weight.packed();
      a.rows = tokens;
      a.input = observed.at(name).gradient->as<float>();
      a.inputStride = weight.layout.columns;
      a.output = gradient.data();
      a.residual = gradient.data();
      a.outputStride = a.residualStride = columns;
      host::linear(a, pool);
    }
    add(probeOf(weights, columns), *x, gradient.data());
  }
}

void Scoring::add(ProbedTensor &probe, const Tensor &x, const float *gradient) {
  int64_t tokens = x.shape()[0], columns = probe.columns;
  const float *values = x.as<float>();
  probe.tokens += tokens;
  std::vector<float> read(size_t(tokens * columns));
  for (auto [format, sum] : llvm::zip_equal(probe.formats, probe.sums)) {
    host::ActivationCodes codes = *host::activationCodes(format);
    std::vector<uint8_t> records(
        size_t(tokens * host::QuantizedLayout{columns, codes}.rowBytes()));
    host::quantizeActivations(values, columns, tokens, columns, {codes},
                              records.data(), pool);
    host::dequantizeActivations(records.data(), tokens, columns, codes,
                                read.data(), pool);
    for (int64_t t = 0; t < tokens; ++t) {
      double change = 0;
      for (int64_t i = t * columns; i < (t + 1) * columns; ++i)
        change += double(read[size_t(i)] - values[i]) * gradient[i];
      sum += change * change;
    }
  }
}

std::vector<PlannedActivation> Scoring::take() const {
  std::vector<std::pair<size_t, PlannedActivation>> found;
  for (auto &[name, probe] : probes) {
    PlannedActivation tensor;
    tensor.name = name;
    tensor.weights = probe.weights;
    tensor.columns = probe.columns;
    quant::Format exact =
        *quant::parseFormat(activationCandidates(options.target).front());
    tensor.alternatives.push_back(
        {quant::spell(exact), "", tokenBytes(exact, probe.columns)});
    for (auto [format, sum] : llvm::zip_equal(probe.formats, probe.sums))
      tensor.alternatives.push_back(
          {quant::spell(format), "", tokenBytes(format, probe.columns),
           asWritten(sum / (2 * double(probe.tokens)))});
    llvm::sort(tensor.alternatives, [](const PlannedFormat &a,
                                       const PlannedFormat &b) {
      return std::tie(a.bytes, a.format) < std::tie(b.bytes, b.format);
    });
    found.emplace_back(probe.layer, std::move(tensor));
  }
  llvm::sort(found, [](const auto &a, const auto &b) {
    return std::tie(a.first, a.second.name) < std::tie(b.first, b.second.name);
  });
  std::vector<PlannedActivation> tensors;
  for (auto &[layer, tensor] : found)
    tensors.push_back(std::move(tensor));
  return tensors;
}

StatusOr<std::vector<PlannedActivation>>
scoreActivations(CalibrationModel &model, ModelGradients &gradients,
                 const ActivationScoring &options, const Progress &progress) {
  Scoring scoring(model, options);
  int64_t step = std::max<int64_t>(
      1, model.samples().count() / std::max<int64_t>(1, options.sequences));
  QOPT_RETURN_IF_ERROR(gradients.backward(
      options.seed, step,
      {.isDone = [](size_t) { return false; },
       .enter =
           [&](size_t layer) {
             if (progress)
               progress("scoring activations",
                        1 - double(layer + 1) /
                                double(model.segments().size()));
             return scoring.enter(layer);
           },
       .leave = [](size_t) { return Status(); },
       .observe =
           [&](int64_t, const ObservedWeights &observed) {
             scoring.observe(observed);
           }}));
  return scoring.take();
}

} // namespace qopt::driver
