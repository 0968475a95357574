// A folder that holds an encoder-decoder in several files: a decoder that
// attends to what an encoder makes of each sequence's source, or where it is
// none, or that is asked, a graph of each file; one artifact has them all.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_COMPILEPARTS_H
#define QOPT_LIB_DRIVER_COMPILEPARTS_H

#include "lib/Driver/EncoderModule.h"
#include "qopt/Compiler.h"
#include "llvm/ADT/ArrayRef.h"

namespace qopt::driver {

/// As qopt::compile, of `parts` instead of `options.model`. InvalidArgument for
/// what is of one model only: budgets, texts, plans, GPUs.
StatusOr<CompileSummary> compileParts(llvm::ArrayRef<import::ModelPart> parts,
                                      const CompileOptions &options,
                                      const Progress &progress,
                                      const Notice &notice);

/// The decoder `step`, with what `encoder` makes of its sources. Where `step`
/// is no such decoder and none is required, the summary is of a graph and
/// nothing is written. (Compiler.cpp)
StatusOr<CompileSummary> compileWithEncoder(const import::ModelPart &step,
                                            const EncoderFiles &encoder,
                                            const CompileOptions &options,
                                            const Progress &progress,
                                            const Notice &notice);

/// InvalidArgument, with the names of its files, where the folder `model` holds
/// several and `what` is of one.
Status refuseParts(const std::string &model, const char *what);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_COMPILEPARTS_H
