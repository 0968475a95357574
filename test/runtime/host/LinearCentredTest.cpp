// A linear of a model's own codes, which have zero points, has the bits of its
// formula on every target.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Linear.h"
#include "runtime/host/QuantizedActivations.h"
#include "test/runtime/host/EveryTarget.h"
#include "test/runtime/host/StoredWeight.h"

#include <cstring>

namespace qopt::host {

/// Codes of a model, all bytes among them, the least ones in a whole row.
struct CodedRows {
  CodedRows(bool areUnsigned, uint8_t zero, int64_t rows, int64_t columns)
      : areUnsigned(areUnsigned), zero(zero), codes(size_t(rows * columns)),
        records(
            size_t(rows * QuantizedLayout{columns, ActivationCodes::Int8Centred}
                              .rowBytes())) {
    for (size_t i = 0; i < codes.size(); ++i)
      codes[i] = i < size_t(columns) ? uint8_t(areUnsigned ? 0 : 0x80)
                                     : uint8_t(i * 37 + i / 256);
    ThreadPool one(1);
    centredActivations({codes.data(), areUnsigned, &scale, &zero}, rows,
                       columns, records.data(), one);
  }
  int64_t centred(size_t i) const { return number(codes[i]) - number(zero); }
  int64_t number(uint8_t byte) const {
    return areUnsigned ? int64_t(byte) : int64_t(int8_t(byte));
  }

  bool areUnsigned;
  uint8_t zero;
  float scale = 0.0123f;
  std::vector<uint8_t> codes, records;
};

/// The formula, with a sum that has no error.
static std::vector<float> centredProduct(const CodedRows &x,
                                         const StoredWeight &weight, int64_t m,
                                         int64_t n, int64_t k) {
  std::vector<float> result;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      int64_t sum = 0;
      for (int64_t l = 0; l < k; ++l) {
        uint8_t code = weight.codes[size_t(j * k + l)];
        sum += x.centred(size_t(i * k + l)) *
               (weight.zeros.empty() ? int64_t(int8_t(code))
                                     : int64_t(code) - weight.zeros[size_t(j)]);
      }
      float ofRow;
      bool isOne = weight.scales.size() == sizeof(ofRow);
      std::memcpy(&ofRow, weight.scales.data() + (isOne ? 0 : 4 * j), 4);
      result.push_back(float(sum) * (x.scale * ofRow));
    }
  return result;
}

/// Less the zero points of both sides the sum is exact, then it is multiplied
/// by the product of both scales.
TEST(Linear, centredCodesHaveTheBitsOfTheFormula) {
  const int64_t m = 19, n = 37, k = 172;
  for (const char *format : {"int8", "int8_asym", "int8_tensor"})
    for (bool areUnsigned : {true, false})
      for (uint8_t zero : {uint8_t(0), uint8_t(131), uint8_t(255)}) {
        SCOPED_TRACE(testing::Message() << format << areUnsigned << int(zero));
        StoredWeight weight(format, n, k);
        LinearLayout layout = *linearLayout(weight.format, n, k)->withRowSums();
        std::vector<uint8_t> packed(size_t(layout.packedBytes()) + 64);
        uint8_t *start = packed.data() + 64 - uintptr_t(packed.data()) % 64;
        packWeight(layout, weight.stored(), start);
        CodedRows x(areUnsigned, zero, m, k);
        std::vector<float> expected = centredProduct(x, weight, m, n, k);
        for (int64_t rows : {int64_t{1}, int64_t{3}, int64_t{5}, m})
          forEveryTarget([&] {
            ThreadPool pool(2);
            std::vector<float> out(size_t(rows * n));
            LinearArguments a;
            a.layout = layout;
            a.weight = start;
            a.rows = rows;
            a.quantized = x.records.data();
            a.codes = ActivationCodes::Int8Centred;
            a.output = out.data();
            a.outputStride = n;
            linear(a, pool);
            for (size_t i = 0; i < out.size(); ++i)
              ASSERT_EQ(expected[i], out[i]) << i;
          });
        ThreadPool one(1);
        std::vector<float> values(x.codes.size());
        dequantizeActivations(x.records.data(), m, k,
                              ActivationCodes::Int8Centred, values.data(), one);
        for (size_t i = 0; i < values.size(); ++i)
          ASSERT_EQ(x.scale * float(x.centred(i)), values[i]);
      }
}

} // namespace qopt::host
