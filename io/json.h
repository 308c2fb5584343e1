#pragma once
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/shape.h"

namespace fusor {

// Strict: a syntax error or a key given twice throws Error naming the file.
nlohmann::json parse_json(std::string_view text, const std::string& file);

// A JSON object of a file, read by typed getters. Each throws an Error that names the file and the
// whole key ("splits.train[0].tokens") when the key is missing or holds something else.
class JsonObject {
 public:
  // `value` must outlive the reader; `key` is empty for the whole file.
  JsonObject(const nlohmann::json& value, std::string file, std::string key = "");

  std::string text(const std::string& key) const;
  std::int64_t count(const std::string& key) const;              // an integer in [0, 2^63)
  Shape counts(const std::string& key) const;                    // an array of such
  bool flag(const std::string& key) const;                       // true or false
  std::vector<std::string> texts(const std::string& key) const;  // an array of strings
  bool has(const std::string& key) const { return value_->contains(key); }
  std::uint64_t checksum(const std::string& key) const;  // 16 hex digits, as checksum_text writes
  JsonObject object(const std::string& key) const;
  std::vector<JsonObject> objects(const std::string& key) const;  // an array of objects
  std::vector<std::string> keys() const;

  void allow_only(std::initializer_list<std::string_view> known) const;
  std::string name_of(const std::string& key) const;  // "FILE: key 'a.b'", for further errors

 private:
  const nlohmann::json& at(const std::string& key) const;

  const nlohmann::json* value_;
  std::string file_, key_;
};

}  // namespace fusor
