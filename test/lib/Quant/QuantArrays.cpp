// quant-arrays: lib/Quant on arrays from standard input, for the comparison
// with NumPy in test_quant_arrays.py.
//   widen TYPE          values of f16, bf16, fp8, fp4 or nf4 in, f32 out
//   narrow TYPE         f32 in, values of the type out
//   scales FORMAT       f32 in; the format's scales of one level, and what they
//                       are as f32 out
//   rtn FORMAT ROWS COLUMNS BLOCK
//                       f32 in; codes, scales, zeros and what they stand for
//                       out; BLOCK rows are quantized at a time
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

using namespace qopt;
using namespace qopt::quant;

static std::vector<uint8_t> readAll() {
  std::vector<uint8_t> bytes;
  uint8_t buffer[1 << 16];
  while (size_t count = std::fread(buffer, 1, sizeof buffer, stdin))
    bytes.insert(bytes.end(), buffer, buffer + count);
  return bytes;
}

static void write(const void *bytes, size_t size) {
  std::fwrite(bytes, 1, size, stdout);
}

static int fail(const Status &status) {
  std::fprintf(stderr, "error: %s\n", status.message().c_str());
  return 1;
}

static int quantize(const Format &format, int64_t rows, int64_t columns,
                    int64_t block) {
  std::vector<uint8_t> input = readAll();
  std::vector<float> values(static_cast<size_t>(rows * columns));
  std::memcpy(values.data(), input.data(), input.size());
  auto size = [&](auto bytes) {
    return static_cast<size_t>(bytes(format, rows, columns));
  };
  std::vector<uint8_t> codes(size(codeBytes)), scales(size(scaleBytes)),
      zeros(size(zeroBytes));
  ValueRange range;
  if (Status status = observeRange({values.data(), 0, rows, columns}, range);
      !status.ok())
    return fail(status);
  bool perTensor = format.granularity == Granularity::Tensor;
  int64_t own = perTensor ? 0 : 1;
  for (int64_t row = 0; row < rows; row += block)
    if (Status status = roundToNearest(
            format,
            {values.data() + row * columns, row, std::min(block, rows - row),
             columns},
            range,
            {codes.data() + row * bytesPerRow(format, columns),
             scales.data() + own * row * scaleBytesPerRow(format, columns),
             zeros.empty() ? nullptr
                           : zeros.data() +
                                 own * row * zeroBytesPerRow(format, columns)});
        !status.ok())
      return fail(status);
  dequantizeRows(format, {codes.data(), scales.data(), zeros.data()}, rows,
                 columns, values.data());
  write(codes.data(), codes.size());
  write(scales.data(), scales.size());
  write(zeros.data(), zeros.size());
  write(values.data(), values.size() * sizeof(float));
  return 0;
}

static void roundScales(const Format &format) {
  std::vector<uint8_t> input = readAll();
  std::vector<float> values(input.size() / sizeof(float));
  std::memcpy(values.data(), input.data(), input.size());
  std::vector<uint8_t> stored(values.size() *
                              static_cast<size_t>(bytesPerScale(format)));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] =
        storeScale(format, values[i], stored.data(), static_cast<int64_t>(i));
  write(stored.data(), stored.size());
  write(values.data(), values.size() * sizeof(float));
}

int main(int argc, char **argv) {
  StatusOr<Format> format = parseFormat(argc > 2 ? argv[2] : "");
  if (!format.ok())
    return fail(format.status());
  if (!std::strcmp(argv[1], "rtn") && argc == 6)
    return quantize(*format, std::strtoll(argv[3], nullptr, 10),
                    std::strtoll(argv[4], nullptr, 10),
                    std::strtoll(argv[5], nullptr, 10));
  if (!std::strcmp(argv[1], "scales")) {
    roundScales(*format);
    return 0;
  }
  const Element &element = elementOf(format->element);
  std::vector<uint8_t> input = readAll();
  bool widen = !std::strcmp(argv[1], "widen");
  auto count = static_cast<int64_t>(widen ? input.size() * 8 / element.bits
                                          : input.size() / sizeof(float));
  std::vector<float> values(static_cast<size_t>(count));
  if (widen) {
    element.decode(input.data(), count, values.data());
    write(values.data(), values.size() * sizeof(float));
  } else {
    std::memcpy(values.data(), input.data(), input.size());
    element.encode(values.data(), count, input.data());
    write(input.data(), (element.bits * static_cast<size_t>(count) + 7) / 8);
  }
  return 0;
}
