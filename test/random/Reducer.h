// Makes a program small that goes wrong: delta debugging (Zeller, Hildebrandt:
// Simplifying and isolating failure-inducing input, 2002) on recipes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RANDOM_REDUCER_H
#define QOPT_TEST_RANDOM_REDUCER_H

#include "Recipe.h"

#include <functional>

namespace qopt::programs {

/// The smallest recipe that was found from `recipe` on for which `goesWrong`
/// holds, as it does for `recipe`; it is asked at most `tries` times.
Recipe reduce(const Recipe &recipe,
              const std::function<bool(const Recipe &)> &goesWrong, int tries);

} // namespace qopt::programs

#endif // QOPT_TEST_RANDOM_REDUCER_H
