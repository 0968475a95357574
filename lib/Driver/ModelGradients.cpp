// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ModelGradients.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/SampledLabels.h"
#include "lib/Evaluate/GraphEvaluation.h"
#include "lib/Quant/FloatConversion.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>

using namespace mlir;

namespace qopt::driver {

using calibrate::TokenStates;

StatusOr<ModelGradients> ModelGradients::forward(CalibrationModel &model,
                                                 const Progress &progress) {
  ModelGradients result(model);
  result.inputs.emplace_back(); // the first reads tokens
  size_t count = model.segments().size();
  for (size_t i = 0; i + 1 < count; ++i) {
    if (progress)
      progress("running the model", double(i) / double(count));
    auto function = model.segmentAs(i, SegmentForm::Original);
    if (!function.ok())
      return function.status();
    auto next = model.advance(**function, result.inputs.back(),
                              "input-" + std::to_string(i + 1));
    if (!next.ok())
      return next.status();
    result.inputs.push_back(std::move(*next));
  }
  return result;
}

namespace {

/// A result of real numbers of the last layer.
struct RealResult {
  unsigned place;
  std::string gradient; ///< as DifferentiateFunction calls its gradient
  bool hasLogits;
};

} // namespace

static std::vector<RealResult> realResults(func::FuncOp function) {
  std::vector<RealResult> found;
  for (auto [place, type] : llvm::enumerate(function.getResultTypes())) {
    auto shaped = cast<ShapedType>(type);
    if (!isa<FloatType>(shaped.getElementType()))
      continue;
    auto given =
        function.getResultAttrOfType<StringAttr>(unsigned(place), "qopt.name");
    std::string name = given ? given.str() : "result" + std::to_string(place);
    auto rank = shaped.hasRank() ? size_t(shaped.getRank()) : 0;
    found.push_back(
        {unsigned(place), name + ".gradient",
         eval::hasLogits(name, rank, rank ? shaped.getShape().back() : 0)});
  }
  return found;
}

/// Where the gradient of a result is, of those of all.
static std::string entryOf(const std::string &name, size_t result) {
  return result ? name + "-" + std::to_string(result) : name;
}

static int64_t rowsOf(const Tensor &values) {
  int64_t columns = values.shape().empty() ? 1 : values.shape().back();
  return values.elements() / std::max<int64_t>(1, columns);
}

/// The gradient of a result, in its own type, from the result; of `most` rows,
/// if it has fewer, so that all results count the same.
static void drawGradient(Tensor &values, bool hasLogits, int64_t most,
                         calibrate::LabelStream stream, unsigned threads) {
  int64_t rows = rowsOf(values);
  int64_t columns = values.elements() / std::max<int64_t>(1, rows);
  auto draw = [&](float *row) {
    hasLogits
        ? calibrate::likelihoodGradients(row, rows, columns, stream, threads)
        : calibrate::errorGradients(row, rows, columns, stream, threads);
    if (rows == most)
      return;
    auto factor = float(std::sqrt(double(most) / double(rows)));
    for (int64_t i = 0; i < rows * columns; ++i)
      row[i] *= factor;
  };
  if (values.type() == DType::F32)
    return draw(values.as<float>());
  bool isHalf = values.type() == DType::F16;
  std::vector<float> wide(size_t(values.elements()));
  uint16_t *narrow = values.as<uint16_t>();
  for (size_t i = 0; i < wide.size(); ++i)
    wide[i] = isHalf ? quant::halfToFloat(narrow[i])
                     : quant::bfloat16ToFloat(narrow[i]);
  draw(wide.data());
  for (size_t i = 0; i < wide.size(); ++i)
    narrow[i] =
        isHalf ? quant::floatToHalf(wide[i]) : quant::floatToBfloat16(wide[i]);
}

/// Of gradients of the results of one sample.
static StatusOr<int64_t> countTerms(const std::vector<TokenStates> &gradients) {
  int64_t most = 0;
  for (const TokenStates &states : gradients) {
    auto values = states.read(0, "");
    if (!values.ok())
      return values.status();
    most = std::max(most, rowsOf(*values));
  }
  return most * int64_t(gradients.size());
}

StatusOr<ModelGradients::States>
ModelGradients::topGradients(uint64_t seed, int64_t step,
                             const std::string &name) {
  size_t last = model.segments().size() - 1;
  std::vector<RealResult> wanted = realResults(model.segments()[last]);
  States gradients;
  bool isDrawn = model.store().has(name);
  for (size_t i = 0; i < wanted.size(); ++i) {
    auto states = isDrawn ? model.store().openStates(entryOf(name, i))
                          : model.store().newStates(entryOf(name, i));
    if (!states.ok())
      return states.status();
    gradients.push_back(std::move(*states));
  }
  if (isDrawn)
    return gradients;
  auto head = model.segmentAs(last, SegmentForm::Original);
  if (!head.ok())
    return head.status();
  QOPT_RETURN_IF_ERROR(model.run(
      **head, {{model.hidden(), &inputs[last]}},
      [&](int64_t sequence, std::vector<Tensor> &results) {
        int64_t most = 0;
        for (const RealResult &result : wanted)
          most = std::max(most, rowsOf(results[result.place]));
        for (auto [i, result] : llvm::enumerate(wanted)) {
          Tensor &values = results[result.place];
          // A stream for each result; in it the next numbers of each sequence.
          int64_t numbers =
              result.hasLogits ? rowsOf(values) : values.elements();
          drawGradient(values, result.hasLogits, most,
                       {seed + (uint64_t(i) << 32),
                        uint64_t(sequence) * uint64_t(numbers)},
                       model.threads());
          QOPT_RETURN_IF_ERROR(gradients[i].write(sequence, values.view()));
        }
        return Status();
      },
      step));
  // The one that says that all are there is the last.
  for (TokenStates &states : llvm::reverse(gradients))
    QOPT_RETURN_IF_ERROR(states.finish());
  return gradients;
}

std::vector<int32_t> lookedUpRows(const Tensor &ids, int64_t rows) {
  std::vector<int32_t> found;
  bool isLong = ids.type() == DType::I64;
  for (int64_t t = 0; t < ids.elements(); ++t) {
    int64_t id = isLong ? ids.as<int64_t>()[t] : ids.as<int32_t>()[t];
    found.push_back(int32_t(id < 0 ? id + rows : id));
  }
  return found;
}

ObservedWeights weightsOf(func::FuncOp function,
                          const std::vector<Tensor> &results) {
  ObservedWeights found;
  for (auto [number, result] : llvm::enumerate(results)) {
    auto observation = function.getResultAttrOfType<ir::ObservationAttr>(
        unsigned(number), "qopt.observation");
    const Tensor *ObservedWeight::*place = nullptr;
    switch (observation.getWhat()) {
    case ir::Observed::Input:
      place = &ObservedWeight::input;
      break;
    case ir::Observed::Lookup:
      place = &ObservedWeight::ids;
      break;
    case ir::Observed::OutputGradient:
      place = &ObservedWeight::gradient;
      break;
    default:
      continue;
    }
    for (auto name : observation.getOf().getAsRange<StringAttr>())
      found[name.str()].*place = &result;
  }
  return found;
}

/// The place of a gradient by far queries.
static const Tensor *&farOf(ir::ObservationAttr observation,
                            std::map<int64_t, ObservedAttention> &found) {
  auto at = [&](size_t i) {
    return cast<IntegerAttr>(observation.getOf()[i]).getInt();
  };
  ObservedAttention::Far &far = found[at(0)].far[at(1)];
  return observation.getWhat() == ir::Observed::FarKeyGradient ? far.key
                                                               : far.value;
}

/// The results of a gradient function that belong to attentions, by number.
static std::map<int64_t, ObservedAttention>
attentionsOf(func::FuncOp function, const std::vector<Tensor> &results) {
  std::map<int64_t, ObservedAttention> found;
  for (auto [number, result] : llvm::enumerate(results)) {
    auto observation = function.getResultAttrOfType<ir::ObservationAttr>(
        unsigned(number), "qopt.observation");
    const Tensor *ObservedAttention::*place = nullptr;
    switch (observation.getWhat()) {
    case ir::Observed::Key:
      place = &ObservedAttention::key;
      break;
    case ir::Observed::Value:
      place = &ObservedAttention::value;
      break;
    case ir::Observed::KeyGradient:
      place = &ObservedAttention::keyGradient;
      break;
    case ir::Observed::ValueGradient:
      place = &ObservedAttention::valueGradient;
      break;
    case ir::Observed::FarKeyGradient:
    case ir::Observed::FarValueGradient:
      farOf(observation, found) = &result;
      continue;
    default:
      continue;
    }
    for (auto attention : observation.getOf().getAsRange<IntegerAttr>())
      found[attention.getInt()].*place = &result;
  }
  return found;
}

/// The gradients of a layer's input from those of its result.
StatusOr<TokenStates> ModelGradients::differentiate(size_t layer, int64_t step,
                                                    const States &gradients,
                                                    const Visitor &visitor,
                                                    const std::string &name) {
  auto function =
      model.segmentAs(layer, SegmentForm::Gradient, visitor.distances);
  if (!function.ok())
    return function.status();
  auto next = model.store().newStates(name);
  if (!next.ok())
    return next.status();
  std::vector<CalibrationModel::States> states{
      {model.hidden(), &inputs[layer]}};
  for (auto [result, gradient] :
       llvm::zip_equal(realResults(model.segments()[layer]), gradients))
    states.push_back({result.gradient, &gradient});
  QOPT_RETURN_IF_ERROR(model.run(
      **function, states,
      [&](int64_t sequence, std::vector<Tensor> &results) {
        visitor.observe(sequence, weightsOf(**function, results));
        if (visitor.attend)
          for (auto &[number, seen] : attentionsOf(**function, results))
            visitor.attend(layer, number, seen);
        // The first layer reads tokens, which have no gradient.
        return layer ? next->write(sequence, results.front().view()) : Status();
      },
      step));
  if (layer)
    QOPT_RETURN_IF_ERROR(next->finish());
  return next;
}

/// An entry of the store, for runs that begin in the middle.
static const char *const termsEntry = "gradient-terms";

Status ModelGradients::backward(uint64_t seed, int64_t step,
                                const Visitor &visitor) {
  const CalibrationStore &store = model.store();
  // What a layer reads: its gradients are those of the result of the one ahead.
  auto nameOf = [&](size_t layer) {
    return "gradient-" + std::to_string(seed) + "-" + std::to_string(layer);
  };
  // The last one that is done, and whose gradients the next can begin with.
  size_t layer = model.segments().size();
  for (size_t done = layer; done-- > 0 && visitor.isDone(done);)
    if (done == 0 || (store.has(nameOf(done)) && store.has(termsEntry)))
      layer = done;
  if (layer == 0)
    return Status();
  States gradients;
  if (layer == model.segments().size()) {
    auto top = topGradients(seed, step, nameOf(layer));
    if (!top.ok())
      return top.status();
    gradients = std::move(*top);
    auto count = countTerms(gradients);
    if (!count.ok())
      return count.status();
    terms = *count;
    QOPT_RETURN_IF_ERROR(store.put(termsEntry, std::to_string(terms)));
  } else {
    auto count = store.get(termsEntry);
    if (!count.ok())
      return count.status();
    terms = std::atoll(count->c_str());
    auto states = store.openStates(nameOf(layer));
    if (!states.ok())
      return states.status();
    gradients.push_back(std::move(*states));
  }
  while (layer-- > 0) {
    QOPT_RETURN_IF_ERROR(visitor.enter(layer));
    auto next = differentiate(layer, step, gradients, visitor, nameOf(layer));
    if (!next.ok())
      return next.status();
    QOPT_RETURN_IF_ERROR(visitor.leave(layer));
    for (size_t i = 0; i < gradients.size(); ++i)
      store.erase(entryOf(nameOf(layer + 1), i));
    gradients.clear();
    gradients.push_back(std::move(*next));
  }
  return Status();
}

} // namespace qopt::driver
