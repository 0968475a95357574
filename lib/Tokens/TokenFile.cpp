// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Tokens/TokenFile.h"

#include "lib/Io/Npy.h"

#include <algorithm>

namespace qopt {

bool isTokenFile(const std::string &path) { return path.ends_with(".npy"); }

StatusOr<TokenWindows> readTokenFile(const std::string &path, int64_t length,
                                     std::optional<int64_t> asked) {
  StatusOr<Tensor> array = io::readNpy(path);
  if (!array.ok())
    return array.status();
  const std::vector<int64_t> &shape = array->shape();
  bool integers = array->type() != DType::F32 && array->type() != DType::F16 &&
                  array->type() != DType::BF16 && array->type() != DType::F64 &&
                  array->type() != DType::Bool;
  if (!integers || shape.empty() || shape.size() > 2)
    return Status(StatusCode::InvalidArgument,
                  "'" + path + "' is " + spell(array->type()) + spell(shape) +
                      "; expected token ids, i32[windows, length]");
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < array->elements(); ++i) {
    double token = io::elementAsDouble(array->view(), i);
    tokens.push_back(int32_t(std::clamp(token, -1.0, double(INT32_MAX))));
  }
  if (shape.size() == 1)
    return TokenWindows::cut(std::move(tokens), asked.value_or(length), path);
  if (asked && *asked != shape[1])
    return Status(StatusCode::InvalidArgument,
                  "--window is " + std::to_string(*asked) + ", but '" + path +
                      "' has windows of " + std::to_string(shape[1]) +
                      " tokens; leave it out, or give the tokens as one list");
  if (shape[0] < 1 || shape[1] < 2)
    return Status(StatusCode::InvalidArgument,
                  "'" + path + "' has shape " + spell(shape) +
                      "; expected a window or more of two tokens or more");
  return TokenWindows(std::move(tokens), shape[1]);
}

} // namespace qopt
