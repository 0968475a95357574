// Plots as SVG elements that stand in a page by themselves. The page's style
// gives the classes axis, grid and s0, s1, s2 (a series each) their colours.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_SVGPLOT_H
#define QOPT_TOOLS_QOPTEVAL_SVGPLOT_H

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qopt::eval {

struct PlotPoint {
  double x = 0, y = 0;
  std::optional<std::pair<double, double>> interval; ///< of y
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;
  size_t colour = 0; ///< 0, 1 or 2: the classes s0, s1, s2
};

struct Plot {
  std::string title;                                  ///< says what y is
  double left = 0, right = 1;                         ///< of x
  std::vector<std::pair<double, std::string>> xTicks; ///< and their labels
  std::optional<std::pair<double, double>> yRange;    ///< none: of the points
  bool joined = true;    ///< a line through each series' points, in order
  bool diagonal = false; ///< with the line y = x from corner to corner
  std::vector<PlotSeries> series;
};

/// A plot over names, at x = 0, 1, …; long ones are shortened.
Plot plotOverNames(const std::string &title,
                   const std::vector<std::string> &names);

/// Text with <, >, & and quotation marks as HTML and XML spell them; control
/// characters become spaces.
std::string escapeMarkup(const std::string &text);

/// As "%.4g" writes it.
std::string shortNumber(double value);

std::string svg(const Plot &plot);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_SVGPLOT_H
