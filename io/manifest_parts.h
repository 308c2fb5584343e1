#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "io/json.h"

// What the manifests of all kinds of datasets share. Not installed.
namespace fusor {

inline constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{1} << 28;

// The file in a dataset's folder; throws Error when there is no such folder or file.
std::string manifest_path(const std::string& folder);

// Throws Error unless the manifest has the format and version that this program reads and is of
// this schema.
void check_schema(const JsonObject& root, std::string_view schema);

// The key "file" of a shard: a name inside the folder that no shard had before; it joins `files`.
std::string shard_file_of(const JsonObject& entry, std::set<std::string>& files);

// {"format", "version", "schema"}
nlohmann::ordered_json manifest_head(std::string_view schema);

// Throws Error that names `what` when a text in it is not UTF-8, which JSON cannot hold.
std::string json_text(const nlohmann::ordered_json& json, std::string_view what);

}  // namespace fusor
