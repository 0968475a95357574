// Random weights for the tests: canonical storage with every code there is, its
// f32 values, and the packed form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_HOST_STOREDWEIGHT_H
#define QOPT_TEST_RUNTIME_HOST_STOREDWEIGHT_H

#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/LinearLayout.h"
#include "test/runtime/host/EveryTarget.h"

#include <string>

namespace qopt::host {

/// A weight of `rows` × `columns` in the format that `spelling` names.
struct StoredWeight {
  StoredWeight(const std::string &spelling, int64_t rows, int64_t columns)
      : format(*quant::parseFormat(spelling)), rows(rows), columns(columns),
        codes(size_t(quant::codeBytes(format, rows, columns))),
        scales(size_t(quant::scaleBytes(format, rows, columns))),
        zeros(size_t(quant::zeroBytes(format, rows, columns))),
        values(size_t(rows * columns)) {
    if (format.isFloat()) {
      std::vector<float> source = randomValues(rows * columns, 1, 0.1f);
      quant::elementOf(format.element)
          .encode(source.data(), rows * columns, codes.data());
    } else {
      fillCodes();
    }
    quant::dequantizeRows(format, stored(), rows, columns, values.data());
  }

  quant::StoredRows stored() const {
    return {codes.data(), scales.data(), zeros.data()};
  }

  quant::Format format;
  int64_t rows, columns;
  std::vector<uint8_t> codes, scales, zeros;
  std::vector<float> values; ///< dequantized

private:
  void fillCodes() {
    std::mt19937 generator(2);
    for (uint8_t &byte : codes)
      byte = static_cast<uint8_t>(generator());
    if (format.element == quant::ElementType::Fp8E4m3)
      for (uint8_t &byte : codes) // a weight has no NaN
        byte = (byte & 127) == 127 ? 0 : byte;
    if (format.element == quant::ElementType::Fp8E5m2)
      for (uint8_t &byte : codes) // magnitudes up to 448, as e4m3 has
        byte = static_cast<uint8_t>((byte & 0x80) | (byte & 0x7f) % 0x60);
    for (int i = 0; i < quant::elementOf(format.element).bookSize; ++i)
      zeros[size_t(i)] = static_cast<uint8_t>(i * i - 120); // signed, rising
    const quant::Element &element = quant::elementOf(format.element);
    int levels = element.bookSize ? 256 : 1 << element.bits;
    if (format.hasScaleFields())
      return fillTwoLevels(generator, levels);
    if (format.hasTwoLevels())
      return fillFloatScales(generator);
    bool fraction = format.zero == quant::ZeroType::Float;
    int64_t count = quant::scaleCount(format, rows, columns);
    for (int64_t i = 0; i < count; ++i) {
      float unit = static_cast<float>(generator() % 1000 + 1) / 1000;
      quant::storeScale(format, unit / static_cast<float>(levels),
                        scales.data(), i);
      if (fraction)
        quant::storeScale(format, unit * static_cast<float>(levels - 1),
                          zeros.data(), i);
      else if (!format.isSymmetric())
        zeros[size_t(i)] = static_cast<uint8_t>(generator() % levels);
    }
  }

  /// Units and scales of e4m3, row after row.
  void fillFloatScales(std::mt19937 &generator) {
    std::vector<float> some(size_t(quant::groupsPerRow(format, columns)));
    for (int64_t row = 0; row < rows; ++row) {
      float unit = static_cast<float>(generator() % 1000 + 1) / 1e6f;
      for (float &scale : some)
        scale = unit * quant::e4m3ToFloat(uint8_t(generator() % 127));
      quant::storeScales(format, &unit, some.data(), columns,
                         scales.data() +
                             row * quant::scaleBytesPerRow(format, columns));
    }
  }

  /// Units, scales of every code and zero points, row after row.
  void fillTwoLevels(std::mt19937 &generator, int levels) {
    int bits = quant::scaleCodeBits(format);
    int lowest = quant::hasSignedScales(format) ? -(1 << (bits - 1)) : 0;
    std::vector<float> units(size_t(quant::unitsPerRow(format, columns)));
    std::vector<float> some(size_t(quant::groupsPerRow(format, columns)));
    for (int64_t row = 0; row < rows; ++row) {
      for (float &unit : units)
        unit = static_cast<float>(generator() % 64 + 1) / 64 /
               static_cast<float>(levels << (bits - 1));
      for (size_t i = 0; i < some.size(); ++i)
        some[i] = units[i / size_t(quant::groupsPerScaleUnit(format))] *
                  static_cast<float>(lowest + int(generator() >> (32 - bits)));
      quant::storeScales(format, units.data(), some.data(), columns,
                         scales.data() +
                             row * quant::scaleBytesPerRow(format, columns));
      if (format.isSymmetric())
        continue;
      for (float &zero : some)
        zero = static_cast<float>(generator() % levels);
      quant::storeZeros(format, some.data(), columns,
                        zeros.data() +
                            row * quant::zeroBytesPerRow(format, columns));
    }
  }
};

/// The packed form, aligned as an artifact's segments are.
struct PackedWeight {
  explicit PackedWeight(const StoredWeight &weight)
      : layout(*linearLayout(weight.format, weight.rows, weight.columns)),
        memory(size_t(layout.packedBytes() + 64), 0xff) {
    packWeight(layout, weight.stored(), data());
  }
  void *data() {
    auto address = reinterpret_cast<uintptr_t>(memory.data());
    return memory.data() + (64 - address % 64) % 64;
  }

  LinearLayout layout;
  std::vector<uint8_t> memory;
};

} // namespace qopt::host

#endif // QOPT_TEST_RUNTIME_HOST_STOREDWEIGHT_H
