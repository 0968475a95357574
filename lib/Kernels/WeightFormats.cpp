// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/WeightFormats.h"
#include "lib/Quant/Element.h"

#include <algorithm>

using namespace qopt;
using quant::ElementType;

/// In the order of the message.
static constexpr ElementType unpacked[] = {
    ElementType::F32,  ElementType::F16,  ElementType::BF16,
    ElementType::Int8, ElementType::Int4, ElementType::Fp8E4m3};

Status kernels::hasUnpacking(const quant::Format &format) {
  if (format.hasTwoLevels())
    return Status(StatusCode::Unsupported,
                  "kernels of a GPU read scales in f16 and f32; got \"" +
                      quant::spell(format) + "\"");
  if (std::ranges::find(unpacked, format.element) != std::end(unpacked))
    return Status();
  std::string names;
  for (ElementType type : unpacked)
    names
        .append(names.empty()                    ? ""
                : type == std::end(unpacked)[-1] ? " and "
                                                 : ", ")
        .append(quant::elementOf(type).name);
  return Status(StatusCode::Unsupported, "kernels of a GPU read " + names +
                                             "; got \"" + quant::spell(format) +
                                             "\"");
}
