// A folder that a test writes to and that goes with it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_TEMPORARYFOLDER_H
#define QOPT_TEST_RUNTIME_TEMPORARYFOLDER_H

#include <filesystem>
#include <stdlib.h>
#include <string>

namespace qopt::test {

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "qopt-test-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  std::string file(const std::string &name) const {
    return (path / name).string();
  }
  std::filesystem::path path;
};

} // namespace qopt::test

#endif // QOPT_TEST_RUNTIME_TEMPORARYFOLDER_H
