#include "io/csv.h"

#include <algorithm>
#include <limits>

#include "io/file.h"
#include "runtime/error.h"

namespace fusor {
namespace {

class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& file) : left_(text), file_(file) {
    if (left_.starts_with("\xef\xbb\xbf")) left_.remove_prefix(3);  // a byte order mark
  }
  // False at the end; empty lines are left out.
  bool next(CsvTable::Row& row) {
    while (!left_.empty() && (left_[0] == '\n' || left_.starts_with("\r\n"))) skip_break();
    if (left_.empty()) return false;
    row = {line_, {}};
    do row.fields.push_back(field());
    while (skip(","));
    require(left_.empty() || skip_break(), file_, " line ", line_,
            ": something follows a field's closing quote");
    return true;
  }

 private:
  bool skip(std::string_view what) {
    if (!left_.starts_with(what)) return false;
    left_.remove_prefix(what.size());
    return true;
  }
  bool skip_break() {
    if (!skip("\r\n") && !skip("\n")) return false;
    ++line_;
    return true;
  }
  std::string field() {
    if (skip("\"")) return quoted();
    const auto end = std::min(left_.find_first_of(",\n"), left_.size());
    std::string_view text = left_.substr(0, end);
    if (end < left_.size() && left_[end] == '\n' && text.ends_with('\r')) text.remove_suffix(1);
    left_.remove_prefix(text.size());
    return std::string(text);
  }
  std::string quoted() {
    std::string text;
    const std::int64_t begin = line_;
    for (;;) {
      const auto end = left_.find('"');
      require(end != std::string_view::npos, file_, " line ", begin, ": a quote is not closed");
      text += left_.substr(0, end);
      line_ += std::ranges::count(left_.substr(0, end), '\n');
      left_.remove_prefix(end + 1);
      if (!skip("\"")) return text;
      text += '"';
    }
  }

  std::string_view left_;
  const std::string& file_;
  std::int64_t line_ = 1;
};

class TsvReader {
 public:
  explicit TsvReader(std::string_view text) : left_(text) {}
  bool next(CsvTable::Row& row) {
    std::string_view line;
    while (line.empty() && !left_.empty()) line = take_line();
    row = {line_, {}};
    for (std::size_t begin = 0, end; begin <= line.size(); begin = end + 1) {
      end = std::min(line.find('\t', begin), line.size());
      row.fields.emplace_back(line.substr(begin, end - begin));
    }
    return !line.empty();
  }

 private:
  std::string_view take_line() {
    const auto end = std::min(left_.find('\n'), left_.size());
    std::string_view line = left_.substr(0, end);
    left_.remove_prefix(std::min(end + 1, left_.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++line_;
    return line;
  }

  std::string_view left_;
  std::int64_t line_ = 0;
};

template <class Reader>
CsvTable read_rows(Reader reader, const std::string& file) {
  CsvTable table;
  CsvTable::Row row;
  require(reader.next(row), file, " is empty");
  table.columns = std::move(row.fields);
  while (reader.next(row)) {
    require(row.fields.size() == table.columns.size(), file, " line ", row.line, " has ",
            row.fields.size(), " fields, the first line names ", table.columns.size());
    table.rows.push_back(std::move(row));
  }
  require(!table.rows.empty(), file, " has no row but the names of its columns");
  return table;
}

}  // namespace

std::size_t CsvTable::column(std::string_view name, const std::string& file) const {
  const auto found = std::ranges::find(columns, name);
  if (found != columns.end()) return static_cast<std::size_t>(found - columns.begin());
  std::string names;
  for (const std::string& known : columns) names += (names.empty() ? "" : ", ") + known;
  raise(file + " has no column '" + std::string(name) + "'; it has " + names);
}

CsvTable parse_csv(std::string_view text, const std::string& file) {
  return read_rows(CsvReader(text, file), file);
}

CsvTable parse_tsv(std::string_view text, const std::string& file) {
  return read_rows(TsvReader(text), file);
}

CsvTable read_table(const std::string& file) {
  const std::string text = read_text_file(file, std::numeric_limits<std::int64_t>::max());
  return file.ends_with(".csv") ? parse_csv(text, file) : parse_tsv(text, file);
}

}  // namespace fusor
