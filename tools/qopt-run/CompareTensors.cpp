// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-run/CompareTensors.h"

#include "lib/Io/Npz.h"
#include "runtime/PrintableText.h"
#include "tools/cli/CommandLine.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <utility>

namespace qopt::run {
namespace {

struct Distance {
  double absolute = 0;    ///< max |difference|
  double relative = 0;    ///< that over max |expected|
  int64_t notNumbers = 0; ///< elements where one side is not finite and the
                          ///< sides differ
};

/// A leading axis of size one more or less is no difference: a decoder's logits
/// are [tokens, vocabulary], a file has them as [1, tokens, vocabulary].
std::vector<int64_t> withoutLeadingOnes(std::vector<int64_t> shape) {
  while (!shape.empty() && shape.front() == 1)
    shape.erase(shape.begin());
  return shape;
}

Distance distanceOf(const TensorView &output, const TensorView &expected,
                    int64_t elements) {
  Distance distance;
  double largest = 0;
  for (int64_t i = 0; i < elements; ++i) {
    double got = io::elementAsDouble(output, i);
    double want = io::elementAsDouble(expected, i);
    if (!std::isfinite(got) || !std::isfinite(want)) {
      bool same = got == want || (std::isnan(got) && std::isnan(want));
      distance.notNumbers += same ? 0 : 1;
      continue;
    }
    largest = std::max(largest, std::abs(want));
    distance.absolute = std::max(distance.absolute, std::abs(got - want));
  }
  distance.relative = largest > 0 ? distance.absolute / largest
                                  : (distance.absolute > 0 ? INFINITY : 0);
  return distance;
}

} // namespace

bool isArrayFile(const std::string &path) {
  return path.ends_with(".npz") || path.ends_with(".npy");
}

StatusOr<std::vector<Tensor>> readArrays(const std::string &path) {
  if (!path.ends_with(".npy"))
    return io::readNpz(path);
  StatusOr<Tensor> array = io::readNpy(path);
  if (!array.ok())
    return array.status();
  return std::vector<Tensor>{*array};
}

const Tensor *findArray(const std::vector<Tensor> &arrays,
                        const std::string &prefix, const std::string &name) {
  for (const std::string &wanted : {name, prefix + name})
    for (const Tensor &array : arrays)
      if (array.name() == wanted)
        return &array;
  return nullptr;
}

Status refuseOthers(const std::vector<Tensor> &arrays,
                    const std::string &prefix,
                    const std::vector<std::string> &names,
                    const std::string &path, const std::string &what) {
  bool prefixed =
      std::any_of(arrays.begin(), arrays.end(), [&](const Tensor &array) {
        return array.name().starts_with(prefix);
      });
  std::set<std::string> seen;
  for (const Tensor &array : arrays) {
    std::string name = array.name();
    if (prefixed && !name.starts_with(prefix))
      continue;
    if (prefixed)
      name.erase(0, prefix.size());
    bool known = std::find(names.begin(), names.end(), name) != names.end();
    if (known && seen.insert(name).second)
      continue;
    std::string expected;
    for (const std::string &other : names)
      expected += (expected.empty() ? "'" : ", '") + other + "'";
    return {StatusCode::InvalidArgument,
            "'" + path + "' has the array '" + array.name() + "', which is " +
                (known ? "there twice" : "no " + what + " of the artifact") +
                "; expected " + (expected.empty() ? "none" : expected) +
                (prefixed ? "" : ", or \"" + prefix + "\" before their names") +
                "; leave it out"};
  }
  return {};
}

/// Each output with what it is compared with.
static StatusOr<std::vector<std::pair<const Tensor *, const Tensor *>>>
pairUp(const std::vector<Tensor> &outputs, const std::vector<Tensor> &expected,
       const std::string &path) {
  std::vector<std::pair<const Tensor *, const Tensor *>> pairs;
  for (const Tensor &output : outputs) {
    const Tensor *other = findArray(expected, "out.", output.name());
    if (!other && outputs.size() == 1 && expected.size() == 1)
      other = &expected.front();
    if (!other)
      continue;
    if (withoutLeadingOnes(output.shape()) !=
        withoutLeadingOnes(other->shape()))
      return Status(StatusCode::InvalidArgument,
                    "'" + path + "' has shape " + spell(other->shape()) +
                        " for the output '" + output.name() + "'; expected " +
                        spell(output.shape()));
    pairs.emplace_back(&output, other);
  }
  if (!pairs.empty())
    return pairs;
  std::string names;
  for (const Tensor &output : outputs)
    names += (names.empty() ? "'" : ", '") + output.name() + "'";
  return Status(StatusCode::InvalidArgument,
                "'" + path +
                    "' has none of the outputs to compare with; "
                    "expected " +
                    names);
}

Status compareTensors(const std::vector<Tensor> &outputs,
                      const std::vector<Tensor> &expected,
                      const RunOptions &options) {
  auto pairs = pairUp(outputs, expected, options.compare);
  if (!pairs.ok())
    return pairs.status();
  nlohmann::ordered_json json;
  Status gate;
  auto fail = [&](const std::string &message) {
    if (gate.ok())
      gate = Status(StatusCode::GateFailed, message);
  };
  for (const auto &[compared, other] : *pairs) {
    const Tensor &output = *compared;
    Distance distance =
        distanceOf(output.view(), other->view(), output.elements());
    if (options.json)
      json["outputs"].push_back({{"name", output.name()},
                                 {"max_abs", distance.absolute},
                                 {"max_rel", distance.relative},
                                 {"not_numbers", distance.notNumbers}});
    else
      std::printf("%s: max abs %.3g, relative to the largest %.3g%s\n",
                  runtime::printable(output.name()).c_str(), distance.absolute,
                  distance.relative,
                  distance.notNumbers ? ", elements that are no numbers differ"
                                      : "");
    char text[200];
    if (options.tolerance && distance.relative > *options.tolerance) {
      std::snprintf(text, sizeof text,
                    "' differs by %.3g of its largest value, more than the "
                    "tolerance %.3g",
                    distance.relative, *options.tolerance);
      fail("output '" + output.name() + text);
    }
    if (options.tolerance && distance.notNumbers)
      fail("output '" + output.name() + "' differs in " +
           std::to_string(distance.notNumbers) +
           " elements that are not finite");
  }
  if (options.json)
    QOPT_RETURN_IF_ERROR(cli::printJson(json));
  QOPT_RETURN_IF_ERROR(cli::flushOutput());
  return gate;
}

} // namespace qopt::run
