// Types and ranks are compared here, sizes where the function is bound.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/NamedTensors.h"

#include <algorithm>

namespace qopt::runtime {

static std::string listNames(const std::vector<TensorSpec> &specs) {
  std::string text;
  for (const TensorSpec &spec : specs)
    text += (text.empty() ? "\"" : ", \"") + spec.name + "\"";
  return text.empty() ? "none" : text;
}

StatusOr<const TensorView *>
findTensor(const char *what, const TensorSpec &spec,
           const std::vector<TensorView> &tensors) {
  auto named = [&](const TensorView &view) { return view.name == spec.name; };
  auto found = std::find_if(tensors.begin(), tensors.end(), named);
  if (found == tensors.end())
    return Status(StatusCode::InvalidArgument,
                  std::string(what) + " \"" + spec.name + "\" is missing");
  if (std::find_if(found + 1, tensors.end(), named) != tensors.end())
    return Status(StatusCode::InvalidArgument,
                  std::string(what) + " \"" + spec.name + "\" was given twice");
  if (found->type != spec.type)
    return Status(StatusCode::InvalidArgument,
                  std::string(what) + " \"" + spec.name + "\" has type " +
                      spell(found->type) + "; expected " + spell(spec.type));
  return &*found;
}

Status checkNames(const char *what, size_t given,
                  const std::vector<TensorView> &tensors,
                  const std::vector<TensorSpec> &specs) {
  if (given == specs.size())
    return {};
  for (const TensorView &view : tensors)
    if (std::none_of(specs.begin(), specs.end(), [&](const TensorSpec &spec) {
          return spec.name == view.name;
        }))
      return Status(StatusCode::InvalidArgument,
                    std::string("no ") + what + " is named \"" + view.name +
                        "\"; the model has " + listNames(specs));
  return {};
}

StatusOr<GivenInputs> matchInputs(const std::vector<TensorSpec> &specs,
                                  const std::vector<TensorView> &tensors) {
  QOPT_RETURN_IF_ERROR(checkNames("input", tensors.size(), tensors, specs));
  GivenInputs given;
  for (const TensorSpec &spec : specs) {
    StatusOr<const TensorView *> view = findTensor("input", spec, tensors);
    if (!view.ok())
      return view.status();
    const TensorView &tensor = **view;
    if (tensor.shape.size() != spec.shape.size())
      return Status(StatusCode::InvalidArgument,
                    "input \"" + spec.name + "\" has shape " +
                        spell(tensor.shape) + "; expected " +
                        std::to_string(spec.shape.size()) + " dimensions");
    bool empty = false;
    for (int64_t size : tensor.shape) {
      if (size < 0)
        return Status(StatusCode::InvalidArgument,
                      "input \"" + spec.name + "\" has shape " +
                          spell(tensor.shape) + "; a size is negative");
      empty |= size == 0;
    }
    if (!tensor.data && !empty)
      return Status(StatusCode::InvalidArgument,
                    "input \"" + spec.name + "\" has no data");
    given.sizes.inputShapes.push_back(tensor.shape);
    given.pointers.push_back(tensor.data);
  }
  return given;
}

} // namespace qopt::runtime
