// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/GraphSamples.h"
#include "lib/Driver/PlanBuilder.h"
#include "lib/Io/FileAccess.h"
#include "lib/Io/Npy.h"
#include "lib/Io/Npz.h"
#include "runtime/Sha256.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace mlir;

namespace qopt::driver {

bool isArrayFile(const std::string &path) {
  return StringRef(path).ends_with(".npz");
}

/// A file's arrays while they are checked.
struct GraphSamplesReader::File {
  std::string path;
  std::vector<Tensor> arrays;

  const Tensor *find(const std::string &name) const {
    auto found = llvm::find_if(
        arrays, [&](const Tensor &array) { return array.name() == name; });
    return found == arrays.end() ? nullptr : &*found;
  }
  Status refuse(const std::string &why) const {
    return Status(StatusCode::InvalidArgument,
                  "--calibrate: \"" + path + "\" " + why);
  }
};

static DType typeOf(RankedTensorType type) {
  return DType(uint8_t(dtypeOf(type.getElementType())));
}

/// "i64[batch, 16]", with `first` ahead of the sizes.
static std::string spellDims(DType type, std::vector<std::string> dims,
                             const std::string &first = "") {
  if (!first.empty())
    dims.insert(dims.begin(), first);
  return std::string(spell(type)) + "[" + llvm::join(dims, ", ") + "]";
}

static std::string quoted(const std::string &name) {
  return "\"" + name + "\"";
}

GraphSamplesReader::GraphSamplesReader(func::FuncOp graph) {
  for (BlockArgument argument : graph.getArguments()) {
    unsigned number = argument.getArgNumber();
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    auto name = graph.getArgAttrOfType<StringAttr>(number, "qopt.name");
    if (!type || !name)
      continue;
    auto names = graph.getArgAttrOfType<ArrayAttr>(number, "onnx.dims");
    Input input{name.str(), type, {}, {}};
    for (auto [axis, size] : llvm::enumerate(type.getShape())) {
      auto dim = names ? dyn_cast<StringAttr>(names[axis]) : StringAttr();
      bool isKnown = !ShapedType::isDynamic(size);
      input.dims.push_back(isKnown ? std::to_string(size)
                           : dim   ? dim.str()
                                   : "?");
      input.sizes.push_back(isKnown ? size : -1);
    }
    inputs.push_back(std::move(input));
  }
}

Status GraphSamplesReader::checkNames(const File &file) const {
  auto namesOf = [](const auto &list, auto nameOf) {
    std::vector<std::string> names;
    for (const auto &entry : list)
      names.push_back(quoted(nameOf(entry)));
    return names.empty() ? std::string("no arrays") : llvm::join(names, ", ");
  };
  for (const Input &input : inputs)
    if (!file.find(input.name))
      return file.refuse(
          "lacks the input " + quoted(input.name) + " (" +
          spellDims(typeOf(input.type), input.dims, "samples") + "); it has " +
          namesOf(file.arrays, [](const Tensor &a) { return a.name(); }));
  for (const Tensor &array : file.arrays)
    if (llvm::none_of(inputs, [&](const Input &input) {
          return input.name == array.name();
        }))
      return file.refuse(
          "has " + quoted(array.name()) +
          ", which is no input of the model; expected " +
          namesOf(inputs, [](const Input &input) { return input.name; }) +
          " and nothing else");
  return Status();
}

/// The shape of each sample in `array`, which has one in front of it.
StatusOr<std::vector<int64_t>>
GraphSamplesReader::shapeOf(const File &file, const Input &input,
                            const Tensor &array) const {
  const std::vector<int64_t> &shape = array.shape();
  size_t rank = input.dims.size();
  std::string expected = spellDims(typeOf(input.type), input.dims, "samples");
  // A row of a batch: an axis that another size than 1 is not known of.
  bool canBeRow =
      rank > 0 && (input.type.isDynamicDim(0) || input.type.getDimSize(0) == 1);
  if (canBeRow) {
    std::vector<std::string> row(input.dims.begin() + 1, input.dims.end());
    expected =
        spellDims(typeOf(input.type), row, "samples") + " or " + expected;
  }
  auto refuse = [&](const std::string &what) {
    return file.refuse("has " + quoted(input.name) + " as " + what +
                       "; expected " + expected);
  };
  std::string given = std::string(spell(array.type())) + spell(shape);
  if (array.type() != typeOf(input.type))
    return refuse(given);
  std::vector<int64_t> sample(shape.begin() + (shape.empty() ? 0 : 1),
                              shape.end());
  if (canBeRow && shape.size() == rank)
    sample.insert(sample.begin(), 1);
  if (shape.empty() || sample.size() != rank)
    return refuse(given);
  for (auto [size, wanted] : llvm::zip(sample, input.type.getShape()))
    if (size == 0 || (!ShapedType::isDynamic(wanted) && size != wanted))
      return refuse(given);
  return sample;
}

/// Sizes of one name are one, in all inputs and files; so are all of an input.
Status GraphSamplesReader::takeShape(const File &file, Input &input,
                                     const std::vector<int64_t> &shape) {
  for (auto [axis, size] : llvm::enumerate(shape)) {
    auto refuse = [&](int64_t other) {
      return file.refuse("has " + quoted(input.name) + " with samples of " +
                         spell(shape) + ", but " + quoted(input.dims[axis]) +
                         " is " + std::to_string(other) +
                         " in another input or file; expected one shape for "
                         "all samples");
    };
    if (input.sizes[axis] >= 0 && input.sizes[axis] != size)
      return refuse(input.sizes[axis]);
    input.sizes[axis] = size;
    if (!input.type.isDynamicDim(unsigned(axis)) || input.dims[axis] == "?")
      continue;
    auto [known, isNew] = named.emplace(input.dims[axis], size);
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
      return Status(status.code(), "--calibrate: " + status.message());
  File file{path, std::move(*arrays)};
  QOPT_RETURN_IF_ERROR(checkNames(file));
  std::vector<calibrate::SampledArray> sampled;
  int64_t count = -1, length = 1;
  for (Input &input : inputs) {
    const Tensor &array = *file.find(input.name);
    auto shape = shapeOf(file, input, array);
    if (!shape.ok())
      return shape.status();
    int64_t own = array.shape().front();
    if (own == 0)
      return file.refuse("has no sample of " + quoted(input.name));
    if (count >= 0 && own != count)
      return file.refuse("has " + std::to_string(own) + " samples of " +
                         quoted(input.name) + " and " + std::to_string(count) +
                         " of " + quoted(inputs.front().name) +
                         "; expected as many of each");
    count = own;
    if (int64_t sample = findNaN(array, count); sample >= 0)
      return file.refuse("has a NaN in sample " + std::to_string(sample) +
                         " of " + quoted(input.name) + "; expected numbers");
    QOPT_RETURN_IF_ERROR(takeShape(file, input, *shape));
    if (input.type.getElementType().isInteger(32) ||
        input.type.getElementType().isInteger(64))
      length = std::max(length, array.elements() / count);
    sampled.push_back({array, std::move(*shape)});
  }
  if (inputs.empty())
    return file.refuse("has nothing to give: the model has no inputs");
  std::vector<int64_t> chosen =
      calibrate::spreadSamples(count, std::max<int64_t>(tokens / length, 1));
  Source source{int64_t(chosen.size()),
                runtime::spell(runtime::Sha256::of((*mapped)->bytes().data(),
                                                   (*mapped)->bytes().size()))};
  all->add(std::move(sampled), std::move(chosen));
  return source;
}

} // namespace qopt::driver
