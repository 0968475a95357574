// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/ValueErrors.h"

#include "runtime/PrintableText.h"
#include "tools/cli/Progress.h"

#include <cmath>
#include <cstdio>
#include <map>
#include <tuple>

namespace qopt::eval {

namespace {

/// What a value is matched by: steps of one node and kernel are numbered.
using Key = std::tuple<std::string, std::string, int64_t, int64_t>;

class KeyCounter {
public:
  Key next(const StepValue &value) {
    Key key(value.origin, value.kernel, value.columns, 0);
    std::get<3>(key) = seen[key]++;
    return key;
  }

private:
  std::map<Key, int64_t> seen;
};

/// Of one value, over windows.
struct Sums {
  size_t order = 0; ///< among the reference's values
  double difference = 0, square = 0;
  bool matched = false;
};

} // namespace

/// The values that the reference writes on a window.
static StatusOr<std::map<Key, std::vector<float>>>
referenceValues(Engine &reference, std::span<const int32_t> tokens,
                std::map<Key, Sums> &sums) {
  std::map<Key, std::vector<float>> values;
  KeyCounter keys;
  Status status = reference.probe(tokens, [&](const StepValue &value) {
    Key key = keys.next(value);
    sums.try_emplace(key, Sums{sums.size()});
    values[key].assign(value.values.begin(), value.values.end());
    return Status();
  });
  if (!status.ok())
    return status;
  return values;
}

static Status addWindow(Engine &model, std::span<const int32_t> tokens,
                        const std::map<Key, std::vector<float>> &expected,
                        std::map<Key, Sums> &sums) {
  KeyCounter keys;
  return model.probe(tokens, [&](const StepValue &value) {
    Key key = keys.next(value);
    auto other = expected.find(key);
    if (other == expected.end() || other->second.size() != value.values.size())
      return Status();
    Sums &sum = sums[key];
    sum.matched = true;
    for (size_t i = 0; i < value.values.size(); ++i) {
      double reference = other->second[i];
      double difference = double(value.values[i]) - reference;
      sum.difference += difference * difference;
      sum.square += reference * reference;
    }
    return Status();
  });
}

StatusOr<ValueErrors> compareValues(Engine &model, Engine &reference,
                                    const TokenWindows &windows) {
  std::map<Key, Sums> sums;
  cli::Progress progress;
  for (int64_t i = 0; i < windows.count(); ++i) {
    progress.show("comparing window " + std::to_string(i + 1) + " of " +
                      std::to_string(windows.count()),
                  double(i) / double(windows.count()));
    auto expected = referenceValues(reference, windows[i], sums);
    if (!expected.ok())
      return expected.status();
    QOPT_RETURN_IF_ERROR(addWindow(model, windows[i], *expected, sums));
  }
  std::map<size_t, ValueError> ordered;
  ValueErrors errors;
  for (const auto &[key, sum] : sums) {
    const auto &[origin, kernel, columns, index] = key;
    if (!sum.matched) {
      ++errors.unmatched;
      continue;
    }
    double error = sum.square > 0 ? std::sqrt(sum.difference / sum.square)
                                  : (sum.difference > 0 ? HUGE_VAL : 0);
    ordered[sum.order] = {origin, kernel, columns, error};
  }
  for (auto &[order, value] : ordered)
    errors.values.push_back(std::move(value));
  if (errors.values.empty())
    return Status(StatusCode::InvalidArgument,
                  "--compare-tensors: '" + model.artifact().path() + "' and '" +
                      reference.artifact().path() +
                      "' have no value in common; expected two artifacts of "
                      "one model");
  return errors;
}

void describe(const ValueErrors &errors, nlohmann::ordered_json &json) {
  nlohmann::ordered_json &found = json["tensors"];
  found["unmatched"] = errors.unmatched;
  found["values"] = nlohmann::ordered_json::array();
  for (const ValueError &value : errors.values)
    found["values"].push_back({{"origin", value.origin},
                               {"kernel", value.kernel},
                               {"columns", value.columns},
                               {"relative_rms", value.error}});
}

void print(const ValueErrors &errors) {
  std::printf("\n%-52s %-18s %8s %10s %8s\n", "value, in order of execution",
              "written by", "columns", "error", "growth");
  double before = 0;
  for (const ValueError &value : errors.values) {
    char growth[32] = "";
    if (before > 0 && value.error > 0)
      std::snprintf(growth, sizeof growth, "%.2f", value.error / before);
    std::printf("%-52s %-18s %8lld %10.3g %8s\n",
                runtime::printable(value.origin).c_str(), value.kernel.c_str(),
                (long long)value.columns, value.error, growth);
    if (value.error > 0) // tables of angles have none
      before = value.error;
  }
  std::printf("error: root of the mean square of the difference over that of "
              "the reference; growth: over the error before it\n");
  if (errors.unmatched)
    std::printf("%lld values of the reference are none of the model's: it "
                "merges other operations\n",
                (long long)errors.unmatched);
}

} // namespace qopt::eval
