// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "python/binding/StatusError.h"

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace qopt::python {

std::string textOf(nb::str text, const char *name) {
  Py_ssize_t size = 0;
  const char *bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (bytes)
    return std::string(bytes, size_t(size));
  PyErr_Clear();
  throw StatusError({StatusCode::InvalidArgument,
                     std::string(name) +
                         " is no text in Unicode: it has surrogates; expected "
                         "characters that UTF-8 can hold"});
}

void registerStatusError() {
  nb::register_exception_translator([](const std::exception_ptr &thrown,
                                       void *) {
    try {
      std::rethrow_exception(thrown);
    } catch (const StatusError &error) {
      nb::object type = nb::module_::import_("qopt.errors").attr("Error");
      nb::object text = nb::steal(PyUnicode_DecodeUTF8(
          error.what(), Py_ssize_t(error.status.message().size()), "replace"));
      nb::object value = type(text, int(error.status.code()));
      PyErr_SetObject(type.ptr(), value.ptr());
    }
  });
}

} // namespace qopt::python
