// The stand-in for the CUDA driver, in the process of a test: the file that
// QOPT_CUDA_DRIVER names, as the runtime loads it too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_CUDA_STANDINLIBRARY_H
#define QOPT_TEST_RUNTIME_CUDA_STANDINLIBRARY_H

#include "standin/Standin.h"

#include <cstdlib>
#include <dlfcn.h>
#include <string>
#include <vector>

namespace qopt::test {

class StandinLibrary {
public:
  StandinLibrary()
      : handle(dlopen(std::getenv("QOPT_CUDA_DRIVER"), RTLD_NOW)) {}
  bool isLoaded() const { return handle; }

  void configure(const std::string &settings) const {
    function<StandinConfigure>("standinConfigure")(settings.c_str());
  }
  /// The calls since the last configuration, from number `first` on.
  std::vector<std::string> calls(size_t first = 0) const {
    std::vector<std::string> all;
    for (size_t i = first, end = callCount(); i < end; ++i)
      all.emplace_back(function<StandinCall>("standinCall")(i));
    return all;
  }
  size_t callCount() const {
    return function<StandinCallCount>("standinCallCount")();
  }
  size_t live(const char *kind) const {
    return function<StandinLive>("standinLive")(kind);
  }

private:
  template <typename Function> Function *function(const char *name) const {
    return reinterpret_cast<Function *>(dlsym(handle, name));
  }
  void *handle;
};

/// How many of the calls begin so.
inline size_t count(const std::vector<std::string> &calls,
                    const std::string &begin) {
  size_t found = 0;
  for (const std::string &call : calls)
    found += call.rfind(begin, 0) == 0;
  return found;
}

} // namespace qopt::test

#endif // QOPT_TEST_RUNTIME_CUDA_STANDINLIBRARY_H
