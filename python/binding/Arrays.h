// Arrays of Python (NumPy, or anything that speaks DLPack or the buffer
// protocol) as tensors, and tensors as NumPy arrays, without copies where the
// layout allows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PYTHON_BINDING_ARRAYS_H
#define QOPT_PYTHON_BINDING_ARRAYS_H

#include "qopt/Tensor.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <string>

namespace qopt::python {

/// Row-major and in the memory of the host; others are copied on the way in.
using InputArray =
    nanobind::ndarray<nanobind::ro, nanobind::c_contig, nanobind::device::cpu>;

/// A view that is valid as long as `array`. StatusError for element types that
/// qopt lacks.
TensorView viewOf(const std::string &name, const InputArray &array);

/// The type that is spelt so ("bf16", "i4"); StatusError where none is.
DType typeNamed(const std::string &name);

/// A NumPy array that keeps the tensor's memory alive. Of what NumPy lacks,
/// bf16 becomes f32 and narrower elements are codes, as u8.
nanobind::object arrayOf(const Tensor &tensor);

} // namespace qopt::python

#endif // QOPT_PYTHON_BINDING_ARRAYS_H
