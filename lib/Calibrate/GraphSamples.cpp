// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/GraphSamples.h"
#include "lib/Io/FileAccess.h"
#include "lib/Io/Npy.h"
#include "lib/Io/Npz.h"
#include "runtime/Sha256.h"
#include <algorithm>
#include <cmath>

namespace qopt::calibrate {

bool isArrayFile(const std::string &path) { return path.ends_with(".npz"); }

/// A file's arrays while they are checked.
struct GraphSamplesReader::File {
  std::string path, option;
  std::vector<Tensor> arrays;

  const Tensor *find(const std::string &name) const {
    auto found = std::ranges::find_if(
        arrays, [&](const Tensor &array) { return array.name() == name; });
    return found == arrays.end() ? nullptr : &*found;
  }
  Status refuse(const std::string &why) const {
    return Status(StatusCode::InvalidArgument,
                  option + ": \"" + path + "\" " + why);
  }
};

static std::string joined(const std::vector<std::string> &texts) {
  std::string all;
  for (const std::string &text : texts)
    all += (all.empty() ? "" : ", ") + text;
  return all;
}

/// "i64[batch, 16]", with `first` ahead of the sizes.
static std::string spellDims(DType type, std::vector<std::string> dims,
                             const std::string &first = "") {
  if (!first.empty())
    dims.insert(dims.begin(), first);
  return std::string(spell(type)) + "[" + joined(dims) + "]";
}

static std::string quoted(const std::string &name) {
  return "\"" + name + "\"";
}

GraphSamplesReader::GraphSamplesReader(const std::vector<TensorSpec> &signature,
                                       std::string option)
    : option(std::move(option)) {
  for (const TensorSpec &spec : signature) {
    Input input{spec, {}, {}};
    for (const std::string &size : spec.shape) {
      bool isKnown = std::ranges::all_of(
          size, [](char c) { return c >= '0' && c <= '9'; });
      input.fixed.push_back(isKnown ? std::stoll(size) : -1);
    }
    input.sizes = input.fixed;
    inputs.push_back(std::move(input));
  }
}

Status GraphSamplesReader::checkNames(const File &file) const {
  auto namesOf = [](const auto &list, auto nameOf) {
    std::vector<std::string> names;
    for (const auto &entry : list)
      names.push_back(quoted(nameOf(entry)));
    return names.empty() ? std::string("no arrays") : joined(names);
  };
  for (const Input &input : inputs)
    if (!file.find(input.spec.name))
      return file.refuse(
          "lacks the input " + quoted(input.spec.name) + " (" +
          spellDims(input.spec.type, input.spec.shape, "samples") +
          "); it has " +
          namesOf(file.arrays, [](const Tensor &a) { return a.name(); }));
  for (const Tensor &array : file.arrays)
    if (std::ranges::none_of(inputs, [&](const Input &input) {
          return input.spec.name == array.name();
        }))
      return file.refuse(
          "has " + quoted(array.name()) +
          ", which is no input of the model; expected " +
          namesOf(inputs, [](const Input &input) { return input.spec.name; }) +
          " and nothing else");
  return Status();
}

/// The shape of each sample in `array`, which has one in front of it.
StatusOr<std::vector<int64_t>>
GraphSamplesReader::shapeOf(const File &file, const Input &input,
                            const Tensor &array) const {
  const std::vector<int64_t> &shape = array.shape();
  size_t rank = input.spec.shape.size();
  std::string expected =
      spellDims(input.spec.type, input.spec.shape, "samples");
  // A row of a batch: an axis that another size than 1 is not known of.
  bool canBeRow =
      rank > 0 && (input.fixed.front() < 0 || input.fixed.front() == 1);
  if (canBeRow) {
    std::vector<std::string> row(input.spec.shape.begin() + 1,
                                 input.spec.shape.end());
    expected = spellDims(input.spec.type, row, "samples") + " or " + expected;
  }
  auto refuse = [&](const std::string &what) {
    return file.refuse("has " + quoted(input.spec.name) + " as " + what +
                       "; expected " + expected);
  };
  std::string given = std::string(spell(array.type())) + spell(shape);
  if (array.type() != input.spec.type)
    return refuse(given);
  std::vector<int64_t> sample(shape.begin() + (shape.empty() ? 0 : 1),
                              shape.end());
  if (canBeRow && shape.size() == rank)
    sample.insert(sample.begin(), 1);
  if (shape.empty() || sample.size() != rank)
    return refuse(given);
  for (size_t axis = 0; axis < rank; ++axis)
    if (sample[axis] == 0 ||
        (input.fixed[axis] >= 0 && sample[axis] != input.fixed[axis]))
      return refuse(given);
  return sample;
}

/// Sizes of one name are one, in all inputs and files; so are all of an input.
Status GraphSamplesReader::takeShape(const File &file, Input &input,
                                     const std::vector<int64_t> &shape) {
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    int64_t size = shape[axis];
    const std::string &dim = input.spec.shape[axis];
    auto refuse = [&](int64_t other) {
      return file.refuse("has " + quoted(input.spec.name) +
                         " with samples of " + spell(shape) + ", but " +
                         quoted(dim) + " is " + std::to_string(other) +
                         " in another input or file; expected one shape for "
                         "all samples");
    };
    if (input.sizes[axis] >= 0 && input.sizes[axis] != size)
      return refuse(input.sizes[axis]);
    input.sizes[axis] = size;
    if (input.fixed[axis] >= 0 || dim == "?")
      continue;
    auto [known, isNew] = named.emplace(dim, size);
    if (!isNew && known->second != size)
      return refuse(known->second);
  }
  return Status();
}

/// The first sample with a NaN, or -1.
static int64_t findNaN(const Tensor &array, int64_t samples) {
  switch (array.type()) {
  case DType::F32:
  case DType::F16:
  case DType::F64:
    break;
  default:
    return -1;
  }
  TensorView view = array.view();
  int64_t size = array.elements() / samples;
  for (int64_t i = 0; i < array.elements(); ++i)
    if (std::isnan(io::elementAsDouble(view, i)))
      return i / size;
  return -1;
}

StatusOr<GraphSamplesReader::Source>
GraphSamplesReader::read(const std::string &path, int64_t tokens) {
  auto mapped = io::MappedFile::open(path);
  auto arrays = io::readNpz(path);
  for (const Status &status : {mapped.status(), arrays.status()})
    if (!status.ok())
      return Status(status.code(), option + ": " + status.message());
  File file{path, option, std::move(*arrays)};
  QOPT_RETURN_IF_ERROR(checkNames(file));
  std::vector<SampledArray> sampled;
  int64_t count = -1, length = 1;
  for (Input &input : inputs) {
    const Tensor &array = *file.find(input.spec.name);
    auto shape = shapeOf(file, input, array);
    if (!shape.ok())
      return shape.status();
    int64_t own = array.shape().front();
    if (own == 0)
      return file.refuse("has no sample of " + quoted(input.spec.name));
    if (count >= 0 && own != count)
      return file.refuse(
          "has " + std::to_string(own) + " samples of " +
          quoted(input.spec.name) + " and " + std::to_string(count) + " of " +
          quoted(inputs.front().spec.name) + "; expected as many of each");
    count = own;
    if (int64_t sample = findNaN(array, count); sample >= 0)
      return file.refuse("has a NaN in sample " + std::to_string(sample) +
                         " of " + quoted(input.spec.name) +
                         "; expected numbers");
    QOPT_RETURN_IF_ERROR(takeShape(file, input, *shape));
    if (input.spec.type == DType::I32 || input.spec.type == DType::I64)
      length = std::max(length, array.elements() / count);
    sampled.push_back({array, std::move(*shape)});
  }
  if (inputs.empty())
    return file.refuse("has nothing to give: the model has no inputs");
  std::vector<int64_t> chosen =
      spreadSamples(count, std::max<int64_t>(tokens / length, 1));
  Source source{int64_t(chosen.size()),
                runtime::spell(runtime::Sha256::of((*mapped)->bytes().data(),
                                                   (*mapped)->bytes().size()))};
  all->add(std::move(sampled), std::move(chosen));
  return source;
}

} // namespace qopt::calibrate
