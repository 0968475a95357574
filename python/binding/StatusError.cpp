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
      nb::object type = nb::module_::import_("qopt.errors").attr("Error");
      nb::object value = type(nb::str(error.what()), int(error.status.code()));
      PyErr_SetObject(type.ptr(), value.ptr());
    }
  });
}

} // namespace qopt::python
