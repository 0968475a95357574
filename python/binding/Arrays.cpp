// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "python/binding/Arrays.h"

#include "lib/Quant/FloatConversion.h"
#include "python/binding/StatusError.h"

#include <memory>

namespace nb = nanobind;

namespace qopt::python {
namespace {

using Code = nb::dlpack::dtype_code;

struct TypeRow {
  Code code;
  uint8_t bits;
  DType type;
};
constexpr TypeRow types[] = {
    {Code::Float, 32, DType::F32}, {Code::Float, 16, DType::F16},
    {Code::Float, 64, DType::F64}, {Code::Bfloat, 16, DType::BF16},
    {Code::Int, 8, DType::I8},     {Code::Int, 16, DType::I16},
    {Code::Int, 32, DType::I32},   {Code::Int, 64, DType::I64},
    {Code::UInt, 8, DType::U8},    {Code::UInt, 16, DType::U16},
    {Code::UInt, 32, DType::U32},  {Code::UInt, 64, DType::U64},
    {Code::Bool, 8, DType::Bool}};

Tensor widened(const Tensor &tensor) {
  Tensor result(tensor.name(), DType::F32, tensor.shape());
  for (int64_t i = 0; i < tensor.elements(); ++i)
    result.as<float>()[i] = quant::bfloat16ToFloat(tensor.as<uint16_t>()[i]);
  return result;
}

} // namespace

TensorView viewOf(const std::string &name, const InputArray &array) {
  TensorView view;
  view.name = name;
  nb::dlpack::dtype type = array.dtype();
  const TypeRow *found = nullptr;
  for (const TypeRow &row : types)
    if (uint8_t(row.code) == type.code && row.bits == type.bits &&
        type.lanes == 1)
      found = &row;
  if (!found)
    throw StatusError(
        {StatusCode::Unsupported, "input '" + name +
                                      "' has elements of a type that qopt "
                                      "lacks; expected numbers of 8 to 64 "
                                      "bits or booleans"});
  view.type = found->type;
  for (size_t axis = 0; axis < array.ndim(); ++axis)
    view.shape.push_back(int64_t(array.shape(axis)));
  view.data = const_cast<void *>(array.data());
  return view;
}

DType typeNamed(const std::string &name) {
  for (int code = 0; code <= int(DType::U2); ++code)
    if (name == spell(DType(code)))
      return DType(code);
  throw StatusError({StatusCode::Internal, "no type is named " + name});
}

nb::object arrayOf(const Tensor &given) {
  auto tensor = std::make_unique<Tensor>(
      given.type() == DType::BF16 ? widened(given) : given);
  nb::dlpack::dtype type = {uint8_t(Code::UInt), 8, 1}; // narrower: codes
  for (const TypeRow &row : types)
    if (row.type == tensor->type())
      type = {uint8_t(row.code), row.bits, 1};
  std::vector<size_t> shape(tensor->shape().begin(), tensor->shape().end());
  void *data = tensor->data();
  nb::capsule owner(tensor.release(), [](void *pointer) noexcept {
    delete static_cast<Tensor *>(pointer);
  });
  return nb::cast(nb::ndarray<nb::numpy>(data, shape.size(), shape.data(),
                                         owner, nullptr, type,
                                         nb::device::cpu::value));
}

} // namespace qopt::python
