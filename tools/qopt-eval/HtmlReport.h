// The JSON of an evaluation as one page with tables and plots, which loads
// nothing from elsewhere and runs no script.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_HTMLREPORT_H
#define QOPT_TOOLS_QOPTEVAL_HTMLREPORT_H

#include <nlohmann/json.hpp>

#include <string>

namespace qopt::eval {

std::string htmlReport(const nlohmann::ordered_json &report);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_HTMLREPORT_H
