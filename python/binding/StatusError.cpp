// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "python/binding/StatusError.h"

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace qopt::python {

void registerStatusError() {
  nb::register_exception_translator([](const std::exception_ptr &thrown,
                                       void *) {
    try {
      std::rethrow_exception(thrown);
    } catch (const StatusError &error) {
      nb::object make = nb::module_::import_("qopt.errors").attr("of_library");
      nb::object text = nb::steal(PyUnicode_DecodeUTF8(
          error.what(), Py_ssize_t(error.status.message().size()), "replace"));
      nb::object value = make(text, int(error.status.code()));
      PyErr_SetObject(value.type().ptr(), value.ptr());
    }
  });
}

} // namespace qopt::python
