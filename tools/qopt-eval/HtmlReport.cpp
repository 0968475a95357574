// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/HtmlReport.h"

#include "tools/qopt-eval/SvgPlot.h"

#include <algorithm>
#include <cmath>

namespace qopt::eval {

using Json = nlohmann::ordered_json;
using Pointer = Json::json_pointer;

/// A figure: where its value is in the JSON of a side, and its bounds.
struct FigurePlace {
  const char *name, *value, *low, *high;
};

static constexpr FigurePlace ofPerplexity = {
    "perplexity", "/perplexity", "/perplexity_low", "/perplexity_high"};
static constexpr FigurePlace ofCalibration = {
    "calibration error, %", "/calibration_error_percent/expected",
    "/calibration_error_percent/low", "/calibration_error_percent/high"};
static constexpr FigurePlace ofDivergence = {"KL, mean, nats", "/kl/mean",
                                             "/kl/low", "/kl/high"};
static constexpr FigurePlace distances[] = {
    ofDivergence,
    {"KL, median", "/kl/median", "", ""},
    {"KL, 99 %", "/kl/p99", "", ""},
    {"KL, 99.9 %", "/kl/p999", "", ""},
    {"KL, largest", "/kl/max", "", ""},
    {"same first choice, %", "/same_top1_percent/mean",
     "/same_top1_percent/low", "/same_top1_percent/high"},
    {"change of the true token's probability, RMS %",
     "/probability_change_percent/rms", "/probability_change_percent/low",
     "/probability_change_percent/high"}};

static const Json *find(const Json &json, const std::string &place) {
  Pointer pointer(place);
  const Json *found = json.contains(pointer) ? &json.at(pointer) : nullptr;
  return found && found->is_number() ? found : nullptr;
}

/// The figure with its interval; "" where the side lacks it.
static std::string spell(const Json &side, const FigurePlace &place) {
  const Json *value = find(side, place.value);
  if (!value)
    return "";
  std::string text = shortNumber(value->get<double>());
  const Json *low = find(side, place.low), *high = find(side, place.high);
  if (low && high)
    text += " (" + shortNumber(low->get<double>()) + " to " +
            shortNumber(high->get<double>()) + ")";
  return text;
}

static Json partOf(const Json &json, const char *name) {
  return json.contains(name) ? json[name] : Json::object();
}

namespace {

class Table {
public:
  explicit Table(const std::vector<std::string> &titles) { row(titles, "th"); }
  void row(const std::vector<std::string> &cells, const char *tag = "td") {
    out += "<tr>";
    for (const std::string &cell : cells)
      out +=
          std::string("<") + tag + ">" + escapeMarkup(cell) + "</" + tag + ">";
    out += "</tr>\n";
  }
  std::string text() const { return "<table>\n" + out + "</table>\n"; }

private:
  std::string out;
};

} // namespace

static std::string heading(const std::string &text) {
  return "<h2>" + escapeMarkup(text) + "</h2>\n";
}

static std::string paragraph(const std::string &text) {
  return "<p>" + escapeMarkup(text) + "</p>\n";
}

static std::string wholeSection(const Json &report) {
  Json reference = partOf(report, "reference"), floor = partOf(report, "floor");
  Table table({"figure", "model", "reference", "floor"});
  for (const FigurePlace &place : {ofPerplexity, ofCalibration})
    table.row({place.name, spell(report, place), spell(reference, place),
               spell(floor, place)});
  for (const FigurePlace &place : distances)
    if (find(report, place.value) || find(floor, place.value))
      table.row({place.name, spell(report, place), "", spell(floor, place)});
  return heading("All text") + table.text();
}

/// The same figure of every entry; entries without it are left out.
static PlotSeries seriesOf(const std::string &name, const Json &entries,
                           const char *side, const FigurePlace &place) {
  PlotSeries series{name, {}, 0};
  for (size_t i = 0; i < entries.size(); ++i) {
    Json figures = *side ? partOf(entries[i], side) : entries[i];
    const Json *value = find(figures, place.value);
    if (!value)
      continue;
    PlotPoint point{double(i), value->get<double>(), {}};
    const Json *low = find(figures, place.low);
    const Json *high = find(figures, place.high);
    if (low && high)
      point.interval = {low->get<double>(), high->get<double>()};
    series.points.push_back(point);
  }
  return series;
}

/// Whether entries follow each other, or are kinds of something.
enum class Entries { Ordered, Kinds };

/// A plot of the sides that have the figure; "" where none has.
static std::string plotEntries(const std::vector<std::string> &names,
                               const Json &entries, const FigurePlace &place,
                               Entries kind) {
  Plot plot = plotOverNames(place.name, names);
  plot.joined = kind == Entries::Ordered;
  const std::pair<const char *, const char *> sides[] = {
      {"model", ""}, {"reference", "reference"}, {"floor", "floor"}};
  size_t colour = 0; // a side has the same one in every plot
  for (const auto &[name, side] : sides) {
    PlotSeries series = seriesOf(name, entries, side, place);
    series.colour = colour++;
    for (PlotPoint &point : series.points) // beside each other
      point.x += 0.06 * double(plot.series.size());
    if (!series.points.empty())
      plot.series.push_back(series);
  }
  return plot.series.empty() ? "" : svg(plot);
}

static std::string sliceSection(const std::string &title, const Json &slices,
                                Entries kind) {
  std::vector<std::string> titles = {title, "predictions", ofPerplexity.name,
                                     "of the reference", ofCalibration.name};
  for (const FigurePlace &place : distances)
    titles.push_back(place.name);
  titles.push_back("floor of KL");
  Table table(titles);
  std::vector<std::string> names;
  for (const Json &slice : slices) {
    names.push_back(slice["name"].get<std::string>());
    std::vector<std::string> cells = {
        names.back(), slice["predictions"].dump(), spell(slice, ofPerplexity),
        spell(partOf(slice, "reference"), ofPerplexity),
        spell(slice, ofCalibration)};
    for (const FigurePlace &place : distances)
      cells.push_back(spell(slice, place));
    cells.push_back(spell(partOf(slice, "floor"), ofDivergence));
    table.row(cells);
  }
  return heading("By " + title) + table.text() +
         plotEntries(names, slices, ofPerplexity, kind) +
         plotEntries(names, slices, ofDivergence, kind);
}

static PlotSeries reliability(const std::string &name, const Json &side) {
  PlotSeries series{name, {}, 0};
  for (const Json &bin : side["calibration_error_percent"]["bins"])
    if (bin["count"].get<double>() > 0)
      series.points.push_back(
          {bin["confidence"].get<double>(), bin["accuracy"].get<double>(), {}});
  return series;
}

static std::string calibrationSection(const Json &report) {
  Plot plot;
  plot.title = "how often the first choice is right, by its probability";
  plot.yRange = {0, 1};
  plot.diagonal = true;
  for (const char *tick : {"0", "0.2", "0.4", "0.6", "0.8", "1"})
    plot.xTicks.push_back({std::stod(tick), tick});
  plot.series.push_back(reliability("model", report));
  Json reference = partOf(report, "reference");
  if (reference.contains("calibration_error_percent")) {
    plot.series.push_back(reliability("reference", reference));
    plot.series.back().colour = 1;
  }
  return heading("Calibration") +
         paragraph("The expected calibration error is the mean distance of "
                   "accuracy and probability over 15 bins of equal width, "
                   "weighted by their predictions. A bin is a point; on the "
                   "diagonal, probabilities are what they say.") +
         svg(plot);
}

static std::string choiceSection(const Json &choices) {
  const FigurePlace places[] = {
      {"right, %", "/accuracy_percent/mean", "/accuracy_percent/low",
       "/accuracy_percent/high"},
      {"flips, %", "/flips_percent/mean", "/flips_percent/low",
       "/flips_percent/high"},
      {"other choices, %", "/changes_percent/mean", "/changes_percent/low",
       "/changes_percent/high"}};
  Table table({"figure", "model", "reference", "floor"});
  for (const FigurePlace &place : places)
    table.row({place.name, spell(choices, place),
               spell(partOf(choices, "reference"), place),
               spell(partOf(choices, "floor"), place)});
  return heading("Multiple choice") +
         paragraph(choices["questions"].dump() +
                   " questions. A flip is an answer that one side alone has "
                   "right.") +
         table.text();
}

static std::string retrievalSection(const Json &depths) {
  const FigurePlace probability = {
      "probability of the needle's value, %", "/probability_percent/mean",
      "/probability_percent/low", "/probability_percent/high"};
  const FigurePlace rank = {"rank", "/rank/mean", "/rank/low", "/rank/high"};
  Table table({"needle at", probability.name, rank.name, "of the reference",
               "rank there", "in other steps"});
  std::vector<std::string> names;
  for (const Json &depth : depths) {
    const Json &percent = depth["depth_percent"];
    names.push_back(percent.is_null() ? "nowhere" : percent.dump() + " %");
    Json reference = partOf(depth, "reference");
    table.row({names.back(), spell(depth, probability), spell(depth, rank),
               spell(reference, probability), spell(reference, rank),
               spell(partOf(depth, "floor"), probability)});
  }
  return heading("Retrieval through the cache") + table.text() +
         plotEntries(names, depths, probability, Entries::Ordered);
}

static std::string blameSection(const Json &blame) {
  const FigurePlace recovered = {"KL recovered, nats", "/kl_recovered", "", ""};
  const FigurePlace left = {"KL left, nats", "/kl", "", ""};
  const FigurePlace added = {"KL with the layers up to it, nats", "/kl_added",
                             "", ""};
  Table table({"layer", recovered.name, left.name, added.name});
  std::vector<std::string> names, inOrder;
  Json ordered = blame["layers"];
  std::sort(ordered.begin(), ordered.end(), [](const Json &a, const Json &b) {
    return a["place"] < b["place"];
  });
  for (const Json &layer : ordered)
    inOrder.push_back(layer["name"].get<std::string>());
  for (const Json &layer : blame["layers"]) {
    names.push_back(layer["name"].get<std::string>());
    table.row({names.back(), spell(layer, recovered), spell(layer, left),
               spell(layer, added)});
  }
  return heading("Which layers lose most") +
         paragraph("Each layer's weights in turn are those of the file; all "
                   "others stay. The model's KL from the unquantized one is " +
                   shortNumber(blame["kl"].get<double>()) +
                   " nats, with all weights restored " +
                   shortNumber(blame["kl_restored"].get<double>()) +
                   "; its distance from itself in other steps is " +
                   shortNumber(blame["kl_floor"].get<double>()) + ".") +
         table.text() +
         plotEntries(names, blame["layers"], recovered, Entries::Kinds) +
         plotEntries(inOrder, ordered, added, Entries::Ordered);
}

static std::string tensorSection(const Json &tensors) {
  Plot plot;
  plot.title = "relative RMS error of values, in order of execution";
  plot.right = double(tensors["values"].size());
  PlotSeries series{"model", {}, 0};
  Table table({"value", "written by", "relative RMS error"});
  for (const Json &value : tensors["values"]) {
    double error = value["relative_rms"].is_number()
                       ? value["relative_rms"].get<double>()
                       : HUGE_VAL;
    table.row({value["origin"].get<std::string>(),
               value["kernel"].get<std::string>(), shortNumber(error)});
    if (std::isfinite(error))
      series.points.push_back({double(series.points.size()), error, {}});
  }
  plot.series.push_back(series);
  return heading("Growth of errors") + svg(plot) + table.text();
}

static std::string sweepSection(const Json &sweep) {
  const FigurePlace bits = {"bits", "/bits", "", ""};
  Table table(
      {"model", "bits of a weight", ofDivergence.name, ofPerplexity.name});
  Plot plot;
  plot.title = ofDivergence.name + std::string(", by bits of a weight");
  PlotSeries series{"KL", {}, 0};
  for (const Json &point : sweep) {
    table.row({point["model"].get<std::string>(), spell(point, bits),
               spell(point, ofDivergence), spell(point, ofPerplexity)});
    PlotPoint at{
        point["bits"].get<double>(), point["kl"]["mean"].get<double>(), {}};
    if (const Json *low = find(point, ofDivergence.low))
      at.interval = {low->get<double>(), point["kl"]["high"].get<double>()};
    series.points.push_back(at);
    plot.xTicks.push_back({at.x, shortNumber(at.x)});
  }
  plot.left = series.points.front().x - 0.5;
  plot.right = series.points.back().x + 0.5;
  plot.series.push_back(series);
  return heading("KL against bits") + table.text() + svg(plot);
}

static std::string bitsSection(const Json &layers) {
  const FigurePlace bits = {"stored bits of a weight", "/bits", "", ""};
  std::vector<std::string> names;
  for (const Json &layer : layers)
    names.push_back(layer["name"].get<std::string>());
  return heading("Bits by layer") +
         plotEntries(names, layers, bits, Entries::Kinds);
}

static std::string introduction(const Json &report) {
  std::string text = "Model " + report["model"].get<std::string>();
  Json reference = partOf(report, "reference");
  if (reference.contains("model"))
    text += ", beside the reference " + reference["model"].get<std::string>();
  if (report.contains("windows"))
    text += ", on " + report["windows"].dump() + " windows of " +
            report["window_length"].dump() + " tokens";
  text += ". In brackets: 95 % of the figures of windows or questions that are "
          "drawn again (bootstrap, seed " +
          report["seed"].dump() + ").";
  if (report.contains("no_interval"))
    text += " No intervals: " + report["no_interval"].get<std::string>() + ".";
  if (report.contains("floor_chunk"))
    text +=
        " The floor is the model against itself in steps of " +
        report["floor_chunk"].dump() +
        " tokens: what the size of steps alone makes of each figure, by the "
        "order of floating-point sums and, in a cache with groups of "
        "positions, by which keys are codes when they are read.";
  return paragraph(text);
}

static constexpr const char *style =
    "body{font:15px/1.5 sans-serif;max-width:80em;margin:2em auto;padding:0 "
    "1em;color:#222}table{border-collapse:collapse;margin:1em 0}th,td{border:"
    "1px solid #ccc;padding:.2em .6em;text-align:right}td:first-child,"
    "th:first-child{text-align:left}svg{margin:.5em 1em .5em 0}svg "
    "text{font-size:12px;fill:#222}.axis{stroke:#555}.grid{stroke:#e4e4e4}"
    ".s0{stroke:#1b62a5;fill:#1b62a5}.s1{stroke:#d1600f;fill:#d1600f}"
    ".s2{stroke:#5a8f29;fill:#5a8f29}polyline{stroke-width:1.5}";

std::string htmlReport(const Json &report) {
  std::string page = "<!DOCTYPE html>\n<!-- qopt-eval -->\n<html lang=\"en\">\n"
                     "<head>\n<meta charset=\"utf-8\"/>\n"
                     "<title>qopt-eval</title>\n<style>" +
                     std::string(style) + "</style>\n</head>\n<body>\n" +
                     "<h1>qopt-eval</h1>\n" + introduction(report);
  if (report.contains("windows"))
    page += wholeSection(report);
  if (report.contains("domains"))
    page += sliceSection("domain", report["domains"], Entries::Kinds);
  if (report.contains("lengths"))
    page += sliceSection("tokens seen", report["lengths"], Entries::Ordered);
  if (report.contains("windows"))
    page += calibrationSection(report);
  if (report.contains("retrieval"))
    page += retrievalSection(report["retrieval"]);
  if (report.contains("choices"))
    page += choiceSection(report["choices"]);
  if (report.contains("blame"))
    page += blameSection(report["blame"]);
  if (report.contains("layer_bits") && !report["layer_bits"].empty())
    page += bitsSection(report["layer_bits"]);
  if (report.contains("sweep"))
    page += sweepSection(report["sweep"]);
  if (report.contains("tensors"))
    page += tensorSection(report["tensors"]);
  return page + "</body>\n</html>\n";
}

} // namespace qopt::eval
