// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/SavedLogits.h"

#include "lib/Quant/FloatConversion.h"

#include <cstring>

namespace qopt::eval {

StatusOr<std::unique_ptr<ReferenceLogits>>
SavedLogits::open(const std::string &path, const TokenWindows &windows,
                  int64_t vocabulary) {
  StatusOr<io::NpyFile> file = io::NpyFile::open(path);
  if (!file.ok())
    return file.status();
  const std::vector<int64_t> &shape = file->shape();
  bool floats = file->type() == DType::F32 || file->type() == DType::F16;
  if (!floats || shape.size() != 3 || shape[0] < windows.count() ||
      shape[1] != windows.length() || shape[2] != vocabulary)
    return Status(StatusCode::InvalidArgument,
                  "'" + path + "' is " + spell(file->type()) + spell(shape) +
                      "; expected logits of these windows, f32" +
                      spell({windows.count(), windows.length(), vocabulary}));
  auto count = size_t(windows.length() * vocabulary);
  return std::unique_ptr<ReferenceLogits>(
      new SavedLogits(std::move(*file), count));
}

StatusOr<std::span<const float>> SavedLogits::window(int64_t index) {
  size_t element = sizeOf(array.type());
  std::span<const uint8_t> bytes = array.bytes().subspan(
      size_t(index) * logits.size() * element, logits.size() * element);
  if (array.type() == DType::F32) {
    std::memcpy(logits.data(), bytes.data(), bytes.size());
    return std::span<const float>(logits);
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, bytes.data() + i * element, sizeof half);
    logits[i] = quant::halfToFloat(half);
  }
  return std::span<const float>(logits);
}

} // namespace qopt::eval
