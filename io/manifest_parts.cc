#include "io/manifest_parts.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "io/file.h"
#include "io/manifest.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::string_view kFormat = "fusor-dataset";
constexpr std::int64_t kVersion = 1;
constexpr std::array<std::string_view, 2> kSchemas = {"text", "records"};

// The schema of a manifest of a known format and version.
std::string schema_of(const JsonObject& root) {
  const std::string format = root.text("format");
  require(format == kFormat, root.name_of("format"), " is '", format, "', not '", kFormat, "'");
  const std::int64_t version = root.count("version");
  require(version == kVersion, root.name_of("version"), " is ", version,
          ", but this program reads version ", kVersion);
  const std::string schema = root.text("schema");
  require(std::ranges::find(kSchemas, schema) != kSchemas.end(), root.name_of("schema"), " is '",
          schema, "', but this program reads 'text' and 'records'");
  return schema;
}

}  // namespace

std::string manifest_path(const std::string& folder) {
  namespace fs = std::filesystem;
  const std::string file = (fs::path(folder) / kManifestFile).string();
  std::error_code ignored;
  require(fs::is_directory(folder, ignored), "there is no dataset folder ", folder);
  require(fs::exists(file, ignored), folder, " holds no ", kManifestFile,
          ": it is not a dataset, or its build was cut short");
  return file;
}

std::string read_schema(const std::string& folder) {
  const std::string file = manifest_path(folder);
  const nlohmann::json json = parse_json(read_text_file(file, kMaxManifestBytes), file);
  return schema_of(JsonObject(json, file));
}

void check_schema(const JsonObject& root, std::string_view schema) {
  const std::string found = schema_of(root);
  require(found == schema, root.name_of("schema"), " is '", found, "', but '", schema,
          "' is wanted here");
}

std::string shard_file_of(const JsonObject& entry, std::set<std::string>& files) {
  std::string file = entry.text("file");
  require(!file.empty() && file.find_first_of(std::string_view("/\0", 2)) == std::string::npos &&
              file != "." && file != "..",
          entry.name_of("file"), " must name a file inside the dataset's folder");
  require(files.insert(file).second, entry.name_of("file"), " names ", file, " a second time");
  return file;
}

nlohmann::ordered_json manifest_head(std::string_view schema) {
  return {{"format", kFormat}, {"version", kVersion}, {"schema", schema}};
}

std::string json_text(const nlohmann::ordered_json& json, std::string_view what) {
  try {
    return json.dump(2) + "\n";
  } catch (const nlohmann::json::type_error&) {
    raise(std::string(what) + " must be UTF-8 text, which a manifest can hold");
  }
}

}  // namespace fusor
