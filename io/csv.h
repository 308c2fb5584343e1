#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fusor {

// A table as RFC 4180 says: fields between commas, in quotes where they hold commas, line breaks or
// quotes (doubled); the first row names the columns.
struct CsvTable {
  struct Row {
    std::int64_t line = 0;  // of the file, where it begins
    std::vector<std::string> fields;
  };
  std::vector<std::string> columns;
  std::vector<Row> rows;

  // Throws Error that begins with `file` and lists the columns when there is none of this name.
  std::size_t column(std::string_view name, const std::string& file) const;
};

// Throws Error naming file and line for a row of another number of fields, an unended quote, or a
// table without rows.
CsvTable parse_csv(std::string_view text, const std::string& file);

// The same of lines whose fields stand between tabs: quotes are characters like others.
CsvTable parse_tsv(std::string_view text, const std::string& file);

// A file, by its name: *.csv as parse_csv reads it, any other as parse_tsv.
CsvTable read_table(const std::string& file);

}  // namespace fusor
