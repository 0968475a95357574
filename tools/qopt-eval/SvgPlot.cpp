// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/SvgPlot.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <tuple>

namespace qopt::eval {

std::string escapeMarkup(const std::string &text) {
  std::string result;
  for (char c : text) {
    if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '&')
      result += "&amp;";
    else if (c == '"')
      result += "&quot;";
    else
      result += uint8_t(c) < 32 || c == 127 ? ' ' : c;
  }
  return result;
}

std::string shortNumber(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// The first `most` characters, with a sign where some are left out.
static std::string shorten(const std::string &text, size_t most) {
  size_t end = 0;
  for (size_t characters = 0; end < text.size(); ++end) {
    bool begins = (uint8_t(text[end]) & 0xc0) != 0x80; // of UTF-8
    if (begins && characters++ == most)
      return text.substr(0, end) + "\u2026";
  }
  return text;
}

Plot plotOverNames(const std::string &title,
                   const std::vector<std::string> &names) {
  Plot plot;
  plot.title = title;
  plot.left = -0.5;
  plot.right = double(names.size()) - 0.5;
  // About as many characters as the frame has room for.
  size_t most = std::max<size_t>(60 / std::max<size_t>(names.size(), 1), 4);
  for (size_t i = 0; i < names.size(); ++i)
    plot.xTicks.push_back({double(i), shorten(names[i], most)});
  return plot;
}

namespace {

/// Draws in a frame of fixed size, with room for labels around it.
class Drawing {
public:
  explicit Drawing(const Plot &plot) : plot(plot) { chooseRange(); }
  std::string draw();

private:
  void chooseRange();
  void drawAxes();
  void drawSeries(const PlotSeries &series, size_t index);
  void line(const char *style, double x1, double y1, double x2, double y2);
  void text(const char *anchor, double x, double y, const std::string &words);
  double across(double x) const {
    return leftEdge +
           (x - plot.left) / (plot.right - plot.left) * (rightEdge - leftEdge);
  }
  double down(double y) const {
    return bottom - (y - low) / (high - low) * (bottom - top);
  }

  static constexpr double width = 480, height = 300, leftEdge = 64,
                          rightEdge = 464, top = 40, bottom = 256;
  const Plot &plot;
  double low = 0, high = 1;
  std::string out;
};

} // namespace

void Drawing::chooseRange() {
  if (plot.yRange) {
    std::tie(low, high) = *plot.yRange;
    return;
  }
  low = HUGE_VAL;
  high = -HUGE_VAL;
  for (const PlotSeries &series : plot.series)
    for (const PlotPoint &point : series.points) {
      auto [from, to] = point.interval.value_or(std::pair(point.y, point.y));
      low = std::min({low, from, point.y});
      high = std::max({high, to, point.y});
    }
  if (!(low < high)) { // no point, or equal ones
    low = std::isfinite(low) ? low - std::abs(low) / 2 - 1e-12 : 0;
    high = std::isfinite(high) ? high + std::abs(high) / 2 + 1e-12 : 1;
  }
  double margin = (high - low) / 20;
  low -= margin;
  high += margin;
}

void Drawing::line(const char *style, double x1, double y1, double x2,
                   double y2) {
  char text[200];
  std::snprintf(text, sizeof text,
                "<line class=\"%s\" x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" "
                "y2=\"%.2f\"/>\n",
                style, x1, y1, x2, y2);
  out += text;
}

void Drawing::text(const char *anchor, double x, double y,
                   const std::string &words) {
  char place[100];
  std::snprintf(place, sizeof place,
                "<text text-anchor=\"%s\" x=\"%.2f\" y=\"%.2f\">", anchor, x,
                y);
  out += place + escapeMarkup(words) + "</text>\n";
}

void Drawing::drawAxes() {
  // The largest of 1, 2, 5 · 10^n that gives four steps or more.
  double step = std::pow(10, std::floor(std::log10((high - low) / 4)));
  for (double more : {5.0, 2.0})
    if (step * more <= (high - low) / 4) {
      step *= more;
      break;
    }
  auto first = int64_t(std::ceil(low / step));
  auto last = int64_t(std::floor(high / step));
  for (int64_t i = first; i <= last; ++i) {
    double y = double(i) * step;
    line("grid", leftEdge, down(y), rightEdge, down(y));
    text("end", leftEdge - 6, down(y) + 4, shortNumber(y));
  }
  for (const auto &[at, label] : plot.xTicks)
    text("middle", across(at), bottom + 18, label);
  line("axis", leftEdge, bottom, rightEdge, bottom);
  line("axis", leftEdge, top, leftEdge, bottom);
}

void Drawing::drawSeries(const PlotSeries &series, size_t index) {
  std::string style = "s" + std::to_string(series.colour);
  std::string path;
  for (const PlotPoint &point : series.points) {
    char place[100];
    std::snprintf(place, sizeof place, "%.2f,%.2f ", across(point.x),
                  down(point.y));
    path += place;
    if (point.interval)
      line(style.c_str(), across(point.x), down(point.interval->first),
           across(point.x), down(point.interval->second));
    std::snprintf(place, sizeof place, "cx=\"%.2f\" cy=\"%.2f\" r=\"3.5\"",
                  across(point.x), down(point.y));
    out += "<circle class=\"" + style + "\" " + place + "><title>" +
           escapeMarkup(series.name) + ": " + shortNumber(point.y) +
           "</title></circle>\n";
  }
  if (plot.joined)
    out += "<polyline class=\"" + style + "\" style=\"fill:none\" points=\"" +
           path + "\"/>\n";
  double at = rightEdge - 110 * double(plot.series.size() - index - 1);
  text("end", at, height - 6, series.name);
  line(style.c_str(), at - 100, height - 10, at - 80, height - 10);
}

std::string Drawing::draw() {
  char open[160];
  std::snprintf(open, sizeof open,
                "<svg role=\"img\" width=\"%g\" height=\"%g\" "
                "viewBox=\"0 0 %g %g\">\n",
                width, height, width, height);
  out = open;
  out += "<title>" + escapeMarkup(plot.title) + "</title>\n";
  text("middle", width / 2, 16, plot.title);
  drawAxes();
  if (plot.diagonal)
    line("axis", leftEdge, bottom, rightEdge, top);
  for (size_t i = 0; i < plot.series.size(); ++i)
    drawSeries(plot.series[i], i);
  return out + "</svg>\n";
}

std::string svg(const Plot &plot) { return Drawing(plot).draw(); }

} // namespace qopt::eval
