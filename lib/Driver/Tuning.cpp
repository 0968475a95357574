// The steps and the choice of what is kept.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Tuning.h"
#include "lib/Calibrate/Adam.h"
#include "lib/Driver/TunedModel.h"
#include "lib/Driver/WeightCalibration.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Quantize/ChannelSite.h"
#include "runtime/Philox.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <cstring>
#include <numeric>

using namespace mlir;

namespace qopt::driver {

namespace {

/// Windows of a step, and of those that no step sees at most.
constexpr int64_t stepWindows = 4, mostHeldOut = 8;
/// How often what there is is measured and stored.
constexpr int64_t measurements = 8;
constexpr uint64_t orderSeed = 0;
/// Of each scale, in the first step.
constexpr float rate = 3e-3f;

Status damaged() {
  return Status(StatusCode::Internal,
                "the state of a tuning in the store of calibrations is "
                "damaged; remove the folder of --store, by default "
                "qopt/calibration in the user's cache");
}

/// All that another run needs to go on, but for the vectors.
struct Progressed {
  int64_t step = 0, bestStep = 0;
  double first = 0, best = 0; ///< mean divergence, held out
};

class Tuning {
public:
  Tuning(CalibrationModel &model, TunedModel &tuned, int64_t steps)
      : model(model), tuned(tuned), steps(steps), state(tuned.parameterCount()),
        bestParameters(tuned.parameterCount()) {
    int64_t windows = model.samples().count();
    for (int64_t window = 0; window < windows; ++window)
      (calibrate::isHeldOut(window) ? heldOut : fitted).push_back(window);
    if (int64_t count = int64_t(heldOut.size()); count > mostHeldOut) {
      std::vector<int64_t> some;
      for (int64_t i = 0; i < mostHeldOut; ++i)
        some.push_back(heldOut[size_t(i * count / mostHeldOut)]);
      heldOut = std::move(some);
    }
  }

  Status run(const Progress &progress) {
    auto begun = readState();
    if (!begun.ok())
      return begun.status();
    QOPT_RETURN_IF_ERROR(tuned.setParameters(state.parameters));
    if (!*begun)
      QOPT_RETURN_IF_ERROR(measure());
    while (state.step < steps) {
      if (progress)
        progress("tuning", double(state.step) / double(steps));
      QOPT_RETURN_IF_ERROR(makeStep());
      bool isTime = state.step * measurements / steps !=
                    (state.step - 1) * measurements / steps;
      if (isTime)
        QOPT_RETURN_IF_ERROR(measure());
    }
    return Status();
  }

  const std::vector<float> &best() const { return bestParameters; }
  TuneRecord record() const {
    return {.steps = steps,
            .kept = now.bestStep,
            .tokens = int64_t(heldOut.size()) * model.samples().length(),
            .before = now.first,
            .after = now.best};
  }

private:
  std::string entry() const { return "tuning-" + std::to_string(steps); }

  /// The window at a place of the steps' order: all of them in an order drawn
  /// anew for every round.
  int64_t windowAt(int64_t place) const {
    auto count = int64_t(fitted.size());
    auto round = uint64_t(place / count);
    std::vector<int64_t> order = fitted;
    for (int64_t i = count - 1; i > 0; --i) {
      double drawn =
          runtime::uniform(orderSeed, round * uint64_t(count) + uint64_t(i));
      std::swap(order[size_t(i)], order[size_t(drawn * double(i + 1))]);
    }
    return order[size_t(place % count)];
  }

  Status makeStep() {
    std::vector<float> gradients(tuned.parameterCount());
    int64_t windows = std::min(stepWindows, int64_t(fitted.size()));
    auto factor = float(1.0 / double(windows * model.samples().length()));
    for (int64_t i = 0; i < windows; ++i) {
      auto found = tuned.addGradients(windowAt(state.step * windows + i),
                                      factor, gradients);
      if (!found.ok())
        return found.status();
    }
    calibrate::stepAdam(state, gradients, steps, {.rate = rate});
    return tuned.setParameters(state.parameters);
  }

  /// What there is, on windows that no step sees; and keeps that much.
  Status measure() {
    double sum = 0;
    for (int64_t window : heldOut) {
      auto found = tuned.divergence(window);
      if (!found.ok())
        return found.status();
      sum += *found;
    }
    double mean =
        sum / double(int64_t(heldOut.size()) * model.samples().length());
    if (state.step == 0)
      now.first = now.best = mean;
    if (mean < now.best) {
      now.best = mean;
      now.bestStep = state.step;
      bestParameters = state.parameters;
    }
    now.step = state.step;
    return writeState();
  }

  std::vector<std::vector<float> *> vectors() {
    return {&state.parameters, &state.means, &state.squares, &bestParameters};
  }

  Status writeState() {
    std::string bytes(reinterpret_cast<const char *>(&now), sizeof now);
    for (std::vector<float> *values : vectors())
      bytes.append(reinterpret_cast<const char *>(values->data()),
                   values->size() * sizeof(float));
    return model.store().put(entry(), bytes);
  }

  /// False where nothing is there.
  StatusOr<bool> readState() {
    if (!model.store().has(entry()))
      return false;
    auto bytes = model.store().get(entry());
    if (!bytes.ok())
      return bytes.status();
    size_t each = state.parameters.size() * sizeof(float);
    if (bytes->size() != sizeof now + vectors().size() * each)
      return damaged();
    const char *from = bytes->data();
    std::memcpy(&now, from, sizeof now);
    from += sizeof now;
    for (std::vector<float> *values : vectors()) {
      std::memcpy(values->data(), from, each);
      from += each;
    }
    state.step = now.step;
    return true;
  }

  CalibrationModel &model;
  TunedModel &tuned;
  int64_t steps;
  calibrate::AdamState state;
  std::vector<float> bestParameters;
  Progressed now;
  std::vector<int64_t> fitted, heldOut;
};

} // namespace

//===- What is done -------------------------------------------------------===//

static std::string doneEntry(int64_t steps) {
  return "tuned-" + std::to_string(steps);
}

static int64_t scaleBytesOf(const StoredWeight &weight) {
  return quant::scaleBytes(weight.format, weight.rows, weight.columns);
}

/// The record, the scales of all codes in their order, then name, channels and
/// factors of each norm.
static std::string spellTuned(CalibratedWeights &weights,
                              const TuneRecord &record) {
  std::string bytes;
  auto add = [&](const void *from, size_t size) {
    bytes.append(static_cast<const char *>(from), size);
  };
  add(&record, sizeof record);
  for (auto &[key, weight] : weights.codes)
    add(weight.scales(), size_t(scaleBytesOf(weight)));
  for (const auto &[name, factors] : weights.normFactors) {
    uint64_t sizes[] = {name.size(), factors.size()};
    add(sizes, sizeof sizes);
    add(name.data(), name.size());
    add(factors.data(), factors.size() * sizeof(float));
  }
  return bytes;
}

/// The same backwards; false where the bytes are of another model.
static bool readTuned(StringRef bytes, CalibratedWeights &weights,
                      TuneRecord &record) {
  auto take = [&](void *to, size_t size) {
    if (bytes.size() < size)
      return false;
    std::memcpy(to, bytes.data(), size);
    bytes = bytes.drop_front(size);
    return true;
  };
  if (!take(&record, sizeof record))
    return false;
  for (auto &[key, weight] : weights.codes)
    if (!take(weight.scales(), size_t(scaleBytesOf(weight))))
      return false;
  while (!bytes.empty()) {
    uint64_t sizes[2];
    if (!take(sizes, sizeof sizes) || sizes[0] > bytes.size() ||
        sizes[1] > bytes.size() / sizeof(float))
      return false;
    std::string name(size_t(sizes[0]), 0);
    std::vector<float> factors(static_cast<size_t>(sizes[1]));
    if (!take(name.data(), name.size()) ||
        !take(factors.data(), factors.size() * sizeof(float)))
      return false;
    weights.normFactors[name] = std::move(factors);
  }
  return true;
}

StatusOr<bool> takeTunedWeights(const CalibrationStore &store, int64_t steps,
                                CalibratedWeights &weights,
                                TuneRecord &record) {
  if (!store.has(doneEntry(steps)))
    return false;
  auto bytes = store.get(doneEntry(steps));
  if (!bytes.ok())
    return bytes.status();
  if (!readTuned(*bytes, weights, record))
    return damaged();
  return true;
}

Status tuneWeights(CalibrationModel &model,
                   const calibrate::TokenStates &predictions, int64_t steps,
                   const Progress &progress, CalibratedWeights &weights,
                   TuneRecord &record) {
  auto tuned = TunedModel::create(model, predictions, weights);
  if (!tuned.ok())
    return tuned.status();
  Tuning tuning(model, **tuned, steps);
  QOPT_RETURN_IF_ERROR(tuning.run(progress));
  record = tuning.record();
  if (record.kept > 0)
    (*tuned)->store(tuning.best(), weights);
  return model.store().put(doneEntry(steps), spellTuned(weights, record));
}

Status scaleNorms(ModuleOp module, const CalibratedWeights &weights) {
  std::map<std::string, Operation *> norms;
  module.walk([&](ir::LinearOp linear) {
    std::string name = weightNameOf(linear.getWeight());
    if (weights.normFactors.count(name))
      norms[name] = passes::normAhead(linear);
  });
  for (const auto &[name, factors] : weights.normFactors) {
    Operation *norm = norms[name];
    if (!norm || failed(passes::multiplyNorm(norm, factors)))
      return Status(StatusCode::Internal,
                    "the norm that \"" + name + "\" reads cannot be tuned");
  }
  return Status();
}

} // namespace qopt::driver
