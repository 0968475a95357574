// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/TokenWindows.h"

#include "tools/io/Npy.h"

#include <algorithm>

namespace qopt::eval {

StatusOr<TokenWindows> TokenWindows::cut(std::vector<int32_t> tokens,
                                         int64_t length,
                                         const std::string &path) {
  if (tokens.size() < 2)
    return Status(StatusCode::InvalidArgument,
                  "'" + path + "' has " +
                      (tokens.empty() ? "no token" : "one token") +
                      " to evaluate; expected two or more");
  length = std::min(length, int64_t(tokens.size()));
  tokens.resize(tokens.size() / size_t(length) * size_t(length));
  return TokenWindows(std::move(tokens), length);
}

StatusOr<TokenWindows> TokenWindows::read(const std::string &path,
                                          int64_t length,
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
    return cut(std::move(tokens), asked.value_or(length), path);
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

Status TokenWindows::add(const std::string &name, const TokenWindows &more,
                         int64_t most) {
  if (parts.empty())
    windowLength = more.length();
  if (more.length() != length())
    return {StatusCode::InvalidArgument,
            "\"" + name + "\" has windows of " + std::to_string(more.length()) +
                " tokens, \"" + parts.back().name + "\" of " +
                std::to_string(length()) +
                "; expected texts with windows of one length (--window)"};
  int64_t kept = std::min(most, more.count());
  parts.push_back({name, count(), kept});
  tokens.insert(tokens.end(), more.tokens.begin(),
                more.tokens.begin() + kept * length());
  return {};
}

Status TokenWindows::check(int64_t vocabulary) const {
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocabulary)
      return {StatusCode::InvalidArgument,
              "token " + std::to_string(tokens[i]) + " at " +
                  std::to_string(int64_t(i) % windowLength) + " of window " +
                  std::to_string(int64_t(i) / windowLength) +
                  " is outside the vocabulary of " +
                  std::to_string(vocabulary)};
  return {};
}

} // namespace qopt::eval
