// Runs a graph artifact: named tensors in, named tensors out. A session owns
// the memory of one call at a time; several sessions on one artifact may run on
// several threads, one session must not.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_SESSION_H
#define QOPT_SESSION_H

#include "qopt/Artifact.h"
#include "qopt/Export.h"
#include "qopt/Status.h"
#include "qopt/Tensor.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace qopt {

struct SessionOptions {
  int threads = 0; ///< 0: one for each processor of this process
  /// As EngineOptions::device (Engine.h).
  std::string device = {};
};

class QOPT_API Session {
public:
  /// InvalidArgument for a decoder artifact (Engine.h runs these).
  static StatusOr<std::unique_ptr<Session>>
  create(std::shared_ptr<const Artifact> artifact,
         const SessionOptions &options = {});
  ~Session();

  const Artifact &artifact() const;

  /// Runs the graph on inputs in any order, found by name; every input must be
  /// there, with the type and a shape of the signature. The results are in the
  /// signature's order.
  StatusOr<std::vector<Tensor>> run(const std::vector<TensorView> &inputs);

  /// As above, into memory of the caller: `outputs` names every output and has
  /// the shapes that these inputs give.
  Status run(const std::vector<TensorView> &inputs,
             const std::vector<TensorView> &outputs);

  /// Bytes of working memory that the session holds.
  size_t memory() const;

private:
  class QOPT_LOCAL Implementation;
  explicit Session(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation;
};

} // namespace qopt

#endif // QOPT_SESSION_H
